//! The training loop: iterations, checkpoints and validations from the first iteration to the last.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ratdata_schemas::DirLock;

use super::checkpoint::{self, CheckpointRecord};
use super::curve;
use super::error::TrainError;
use super::iteration::{IterationOptions, Outcome, iterate};
use super::job::Job;
use super::log::{Log, LogOptions};
use super::metrics::{self, MetricsLine};
use super::report::{Report, Summary};
use super::run_files::{BadBatch, forget_bad_batch, write_curve, write_resolved};
use super::state::TrainState;
use super::validate::{Validated, validate};
use super::wandb::Wandb;
use crate::data::{Batch, Prefetch, locations};

/// Where and how a run trains.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'a> {
    /// The run's folder.
    pub out: &'a Path,
    /// The devices, without autodiff: the first holds the model, the others copies of it.
    pub devices: &'a [Device],
    /// Whether to resume from the newest checkpoint of the folder, if there is one.
    pub resume: bool,
}

impl Job {
    /// Trains.
    ///
    /// When `stop` is set it keeps a checkpoint of the last whole iteration and returns
    /// [`TrainError::Interrupted`].
    ///
    /// # Errors
    /// Returns [`TrainError`].
    pub fn run(
        &self,
        RunOptions { out, devices, resume }: RunOptions<'_>,
        report: &mut dyn Report,
        stop: &AtomicBool,
    ) -> Result<Summary, TrainError> {
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let Some(device) = devices.first() else {
            return Err(TrainError::NoDevice);
        };
        if checkpoint::newest(out)?.is_none() {
            // A run that cannot begin leaves no folder behind.
            self.check_start(stop)?;
            not_stopped(stop)?;
        }
        let is_new = !out.exists();
        let _lock = DirLock::take(out)?;
        checkpoint::clear_staging(out)?;
        let from = checkpoint::newest(out)?;
        if let (Some(path), false) = (&from, resume) {
            let iterations = CheckpointRecord::read(path)?.iteration;
            return Err(TrainError::Exists { out: out.to_owned(), iterations });
        }
        let state = TrainState::begin(self, from.as_deref(), device, report)?;
        if from.is_none() {
            not_stopped(stop)?;
        }
        write_resolved(out, self.experiment())?;
        forget_bad_batch(out)?;
        let peak = self.experiment().training.peak_tflops * 1e12 * devices.len() as f64;
        let options = LogOptions {
            experiment: self.experiment(),
            iterations: self.plan().iterations,
            peak_flops: self.on_gpu().then_some(peak),
        };
        let log = Log::open(out, &state.record, options)?;
        let wandb = match Wandb::start(out, &self.experiment().training) {
            Ok(wandb) => wandb,
            Err(refused) => {
                // There is no iteration yet, and the folder was not there before.
                if is_new {
                    std::fs::remove_dir_all(out)
                        .map_err(|source| TrainError::Io { path: out.to_owned(), source })?;
                }
                return Err(refused);
            }
        };
        TrainingLoop { job: self, out, devices: &devices, stop, report, log, wandb }
            .train(state, from)
    }
}

/// What stays the same during a run, and what listens to it.
struct TrainingLoop<'a> {
    job: &'a Job,
    out: &'a Path,
    devices: &'a [Device],
    stop: &'a AtomicBool,
    report: &'a mut dyn Report,
    log: Log,
    wandb: Option<Wandb>,
}

impl TrainingLoop<'_> {
    /// Runs the iterations that are left. `newest` is the newest checkpoint of the run, if any.
    fn train(
        mut self,
        mut state: TrainState,
        mut newest: Option<PathBuf>,
    ) -> Result<Summary, TrainError> {
        let experiment = self.job.experiment();
        let training = &experiment.training;
        let feed = self.job.feed_from(state.record.cursor.clone())?;
        let mut batches = Prefetch::start(feed, experiment.data.prefetch);
        while state.record.iteration < self.job.plan().iterations {
            let batch = batches.take()?;
            let (after, stopped) = self.iteration(state, batch)?;
            state = after;
            let iteration = state.record.iteration;
            if stopped || self.is_due(iteration, training.checkpoints.get()) {
                newest = Some(state.save(self.out, training.keep.get())?);
            }
            if let (true, Some(checkpoint)) = (stopped, newest.clone()) {
                return Err(TrainError::Interrupted { iteration, checkpoint });
            }
            if self.validation_is_due(iteration)
                && let Some(found) = self.validate(&state)?
            {
                self.log.validated(&state.record, &found)?;
                self.report.validated(iteration, &found);
            }
            self.log.restart();
        }
        self.finish(&state, newest)
    }

    /// Runs one iteration, and returns too whether the run is to stop after it.
    fn iteration(
        &mut self,
        state: TrainState,
        batch: Batch,
    ) -> Result<(TrainState, bool), TrainError> {
        let training = &self.job.experiment().training;
        let schedule = self.job.experiment().schedule.over(self.job.plan().iterations);
        let options = IterationOptions {
            micro_batch: training.micro_batch.get(),
            recompute: training.recompute,
            lr: schedule.lr(state.record.iteration),
        };
        let TrainState { model, mut optimizer, mut record } = state;
        let outcome = iterate(model, &mut optimizer, &batch, options, self.devices, self.stop);
        let (model, measured) = match outcome {
            Outcome::Done(model, measured) => (model, measured),
            Outcome::Stopped(model) => return Ok((TrainState { model, optimizer, record }, true)),
        };
        let iteration = record.iteration + 1;
        for (what, found) in [("loss", measured.loss), ("gradient norm", measured.grad_norm)] {
            if !found.is_finite() {
                let sequences = locations(self.job.sources(), &batch, 0..batch.len());
                let location = BadBatch::new(iteration, measured, sequences).write(self.out)?;
                return Err(TrainError::NotFinite { iteration, what, found, location });
            }
        }
        let tokens = (batch.len() * batch.seq_len()) as u64;
        record.iteration = iteration;
        record.tokens += tokens;
        record.cursor = batch.after;
        let progress = self.log.measured(&mut record, measured, options.lr, tokens)?;
        self.report.progress(&progress);
        Ok((TrainState { model, optimizer, record }, self.stop.load(Ordering::Relaxed)))
    }

    fn validate(&self, state: &TrainState) -> Result<Option<Validated>, TrainError> {
        let Some(device) = self.devices.first() else { return Err(TrainError::NoDevice) };
        validate(&state.model, self.job.sources(), self.job.experiment(), device, self.stop)
    }

    /// Returns whether the run validates at the end of an iteration.
    fn validation_is_due(&self, iteration: u64) -> bool {
        let training = &self.job.experiment().training;
        match training.validate_every {
            Some(every) => iteration.is_multiple_of(every.get()),
            None => self.is_due(iteration, training.validations.get()),
        }
    }

    /// Returns whether one of `times` points, spread evenly over the run, is at the end of an
    /// iteration.
    fn is_due(&self, iteration: u64, times: u64) -> bool {
        let passed = |iteration: u64| {
            u128::from(iteration) * u128::from(times) / u128::from(self.job.plan().iterations)
        };
        iteration > 0 && passed(iteration) > passed(iteration - 1)
    }

    /// Draws the curve, exports the weights and sums up.
    fn finish(self, state: &TrainState, newest: Option<PathBuf>) -> Result<Summary, TrainError> {
        let out = self.out;
        let checkpoint = match newest {
            Some(path) => path,
            None => state.save(out, self.job.experiment().training.keep.get())?,
        };
        let lines = metrics::read(out)?;
        let mut last_val = lines.iter().rev().find(|line| line.val_loss.is_some()).copied();
        if last_val.is_none_or(|line| line.iteration != state.record.iteration) {
            let found = self.validate(state)?;
            if found.is_none() && self.stop.load(Ordering::Relaxed) {
                let iteration = state.record.iteration;
                return Err(TrainError::Interrupted { iteration, checkpoint });
            }
            last_val = found.map(|found| MetricsLine {
                val_loss: Some(found.loss),
                val_perplexity: Some(found.perplexity),
                ..MetricsLine::default()
            });
        }
        let curve = curve::draw(self.job.name(), &lines);
        let curve = curve.map(|svg| write_curve(out, &svg)).transpose()?;
        checkpoint::export(&checkpoint, out)?;
        if let Some(wandb) = self.wandb {
            wandb.finish(last_val);
        }
        Ok(Summary {
            iterations: state.record.iteration,
            tokens: state.record.tokens,
            train_loss: lines.iter().rev().find_map(|line| line.loss),
            val_loss: last_val.and_then(|line| line.val_loss),
            val_perplexity: last_val.and_then(|line| line.val_perplexity),
            tokens_per_second: self.log.speed(),
            checkpoint,
            curve,
        })
    }
}

/// Ends a run that the user stopped before its first iteration.
fn not_stopped(stop: &AtomicBool) -> Result<(), TrainError> {
    if stop.load(Ordering::Relaxed) { Err(TrainError::NotBegun) } else { Ok(()) }
}

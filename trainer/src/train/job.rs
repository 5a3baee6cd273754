//! A run from its first iteration, or from a checkpoint, to its last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ratdata_schemas::{Checksum, DirLock, StagedFile};
use serde::Serialize;

use super::checkpoint::{self, Record};
use super::curve;
use super::error::TrainError;
use super::iteration::{Measured, Outcome, iterate};
use super::log::Log;
use super::metrics::{self, Line};
use super::plan::Plan;
use super::validate::{Validated, validate};
use super::weights::{check_weights, read_weights};
use crate::data::{Batch, Cursor, Feed, Place, Prefetch, Source, open_sources, places};
use crate::experiment::Experiment;
use crate::model::{Model, Precision};
use crate::optim::{Optimizer, Schedule};

/// The experiment as a run resolved it, in the run's folder.
pub const RESOLVED_FILE: &str = "resolved.toml";

/// The loss curve, in the run's folder.
pub const CURVE_FILE: &str = "loss.svg";

/// Where the sequences of a batch lie whose loss was not a number.
pub const BAD_BATCH_FILE: &str = "bad-batch.json";

/// Tokens of each part that are read to see that they fit the model, at most: seconds.
pub const CHECKED_TOKENS: u64 = 2_000_000_000;

/// Learns of a run while it goes on.
pub trait Report {
    /// Says something on the way.
    fn note(&mut self, text: &str);
    /// Tells how far the run is.
    fn progress(&mut self, progress: &Progress);
    /// Tells what a validation found.
    fn validated(&mut self, iteration: u64, found: &Validated);
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The line of metrics so far; `loss` is a mean since the last line that was written.
    pub line: Line,
    /// Iterations of the whole run.
    pub iterations: u64,
    /// Whether the line was written to the metrics.
    pub logged: bool,
    /// The part of the device's peak that was used, on a GPU.
    pub mfu: Option<f64>,
    /// Seconds to the end, at the speed so far.
    pub seconds_left: f64,
}

/// What a run ended with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Iterations done, those before a resume included.
    pub iterations: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Mean training loss of the last line of metrics.
    pub train_loss: Option<f64>,
    /// Validation loss at the end.
    pub val_loss: Option<f64>,
    /// e to its power.
    pub val_perplexity: Option<f64>,
    /// Tokens a second of this process, training alone.
    pub tokens_per_second: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The loss curve, where there are points enough to draw one.
    pub curve: Option<PathBuf>,
}

/// Where and how a run trains.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'a> {
    /// The run's folder.
    pub out: &'a Path,
    /// The devices, without autodiff: the first holds the model, the others copies of it.
    pub devices: &'a [Device],
    /// Whether to go on from the newest checkpoint of the folder, where there is one.
    pub resume: bool,
}

/// A run that is ready to begin: its data is open and fits its model.
#[derive(Debug)]
pub struct Job {
    name: String,
    experiment: Experiment,
    sources: Arc<Vec<Source>>,
    plan: Plan,
    on_gpu: bool,
}

impl Job {
    /// Opens the data and plans the run on the CPU or on GPUs; nothing is written.
    ///
    /// # Errors
    /// Returns [`TrainError`] where the data does not fit the experiment.
    pub fn open(name: &str, experiment: Experiment, on_gpu: bool) -> Result<Self, TrainError> {
        let sources = Arc::new(open_sources(&experiment.data, &experiment.model)?);
        let feed = Self::feed(&sources, &experiment, Cursor::default())?;
        let precision = precision(&experiment, on_gpu);
        let plan = Plan::new(&experiment, &sources, feed.epoch_len(), precision)?;
        Ok(Self { name: name.to_owned(), experiment, sources, plan, on_gpu })
    }

    /// Returns what the run will do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns what is read.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Reads the sequences of every part, or `most` of each spread evenly, and returns how many.
    ///
    /// # Errors
    /// Returns [`TrainError::Data`] where a sequence does not fit the model.
    pub fn check(&self, most: u64) -> Result<u64, TrainError> {
        let never = AtomicBool::new(false);
        let splits = self
            .sources
            .iter()
            .flat_map(|source| [Some(&source.train), source.validation.as_ref()]);
        let mut checked = 0;
        for split in splits.flatten() {
            checked += split.check(most, &never)?;
        }
        Ok(checked)
    }

    /// Checks what a run begins with and a resumed one no longer needs: that headerless bins, whose
    /// vocabulary nobody wrote down, have no id above the model's, and that the weights to begin
    /// with are there. It ends early when `stop` is set.
    ///
    /// # Errors
    /// Returns [`TrainError::Data`], [`TrainError::NoWeights`] or [`TrainError::Weights`].
    pub fn check_start(&self, stop: &AtomicBool) -> Result<(), TrainError> {
        let Experiment { model, training, .. } = &self.experiment;
        if let Some(path) = &training.init_from {
            check_weights(model, path)?;
        }
        let most = CHECKED_TOKENS / self.plan.seq_len.max(1);
        for source in self.sources.iter().filter(|source| source.bare) {
            for split in std::iter::once(&source.train).chain(&source.validation) {
                split.check(most, stop)?;
            }
        }
        Ok(())
    }

    /// Says where the sequences of an iteration lie on disk; the first iteration is 1.
    ///
    /// It is computed from the experiment alone, so a run whose weights of sources were changed
    /// when it went on drew others after that.
    ///
    /// # Errors
    /// Returns [`TrainError::Iteration`] where the run has no such iteration.
    pub fn drawn_at(&self, iteration: u64) -> Result<Vec<Place>, TrainError> {
        let iterations = self.plan.iterations;
        if iteration == 0 || iteration > iterations {
            return Err(TrainError::Iteration { found: iteration, iterations });
        }
        let mut feed = Self::feed(&self.sources, &self.experiment, Cursor::default())?;
        feed.skip((iteration - 1) * self.experiment.training.global_batch.get() as u64);
        Ok(feed.draw_places())
    }

    fn feed(
        sources: &Arc<Vec<Source>>,
        experiment: &Experiment,
        cursor: Cursor,
    ) -> Result<Feed, TrainError> {
        let size = experiment.training.global_batch.get();
        Ok(Feed::new(Arc::clone(sources), &experiment.data, &experiment.model, size, cursor)?)
    }

    fn checksums(&self) -> BTreeMap<String, Checksum> {
        let pairs = |source: &Source| (source.name.clone(), source.fingerprint.clone());
        self.sources.iter().map(pairs).collect()
    }

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
        let Some(device) = devices.first() else {
            return Err(TrainError::NoDevice);
        };
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        if checkpoint::newest(out)?.is_none() {
            // A run that cannot begin leaves no folder behind.
            self.check_start(stop)?;
            not_stopped(stop)?;
        }
        let _lock = DirLock::take(out)?;
        checkpoint::clear_staging(out)?;
        let from = checkpoint::newest(out)?;
        if let (Some(path), false) = (&from, resume) {
            let iterations = Record::read(path)?.iteration;
            return Err(TrainError::Exists { out: out.to_owned(), iterations });
        }
        let mut trained = self.begin(from.as_deref(), device, report)?;
        if from.is_none() {
            not_stopped(stop)?;
        }
        self.write_resolved(out)?;
        forget_bad_batch(out)?;
        let gpus = devices.len() as f64;
        let peak = self.on_gpu.then_some(self.experiment.training.peak_tflops * 1e12 * gpus);
        let mut log =
            Log::open(out, &trained.record, (&self.experiment, self.plan.iterations), peak)?;
        let cursor = trained.record.cursor.clone();
        let feed = Self::feed(&self.sources, &self.experiment, cursor)?;
        let mut batches = Prefetch::start(feed, self.experiment.data.prefetch);
        let mut newest = from;
        while trained.record.iteration < self.plan.iterations {
            let batch = batches.take()?;
            let (after, stopped) =
                self.step((trained, &devices), batch, out, &mut log, (report, stop))?;
            trained = after;
            let iteration = trained.record.iteration;
            let training = &self.experiment.training;
            if stopped || self.is_due(iteration, training.checkpoints.get()) {
                let keep = training.keep.get();
                let Trained { model, optimizer, record } = &trained;
                newest = Some(checkpoint::save(out, model, optimizer, record, keep)?);
            }
            if let (true, Some(checkpoint)) = (stopped, newest.clone()) {
                return Err(TrainError::Interrupted { iteration, checkpoint });
            }
            if self.is_due(iteration, training.validations.get()) {
                let found =
                    validate(&trained.model, &self.sources, &self.experiment, device, stop)?;
                if let Some(found) = found {
                    log.validated(&trained.record, &found)?;
                    report.validated(iteration, &found);
                }
            }
            log.restart();
        }
        self.finish(out, &trained, &log, newest, (device, stop))
    }

    /// Makes the model and its optimizer, or reads them from a checkpoint.
    fn begin(
        &self,
        from: Option<&Path>,
        device: &Device,
        report: &mut dyn Report,
    ) -> Result<Trained, TrainError> {
        let (training, data) = (&self.experiment.training, self.checksums());
        let precision = precision(&self.experiment, self.on_gpu);
        let device = device.clone().autodiff();
        let mut model =
            self.experiment.model.init(&device, training.seed).with_precision(precision);
        let mut optimizer = self.experiment.optimizer.init();
        let mut record = Record::new(self.experiment.clone(), data.clone());
        if let Some(path) = from {
            let found = Record::read(path)?;
            found.check(path, &self.experiment, &data)?;
            if found.experiment != self.experiment {
                report.note("the experiment differs from the checkpoint's; see `resolved.toml`");
            }
            (model, optimizer) = checkpoint::load(path, model, optimizer)?;
            report.note(&format!("going on from {}", path.display()));
            let Record { iteration, tokens, cursor, seconds, .. } = found;
            record = Record { iteration, tokens, cursor, seconds, ..record };
        } else if let Some(path) = &training.init_from {
            let file = read_weights(&mut model, path, training.init_key.as_deref())?;
            report.note(&format!("beginning with the weights of {}", file.display()));
        }
        Ok(Trained { model, optimizer, record })
    }

    /// Runs one iteration; says too whether the run is to stop after it.
    fn step(
        &self,
        (mut trained, devices): (Trained, &[Device]),
        batch: Batch,
        out: &Path,
        log: &mut Log,
        (report, stop): (&mut dyn Report, &AtomicBool),
    ) -> Result<(Trained, bool), TrainError> {
        let training = &self.experiment.training;
        let (micro, recompute) = (training.micro_batch.get(), training.recompute);
        let lr = self.schedule().lr(trained.record.iteration);
        let Trained { model, mut optimizer, record } = trained;
        let outcome = iterate(model, &mut optimizer, &batch, (micro, recompute, lr), devices, stop);
        let (model, measured) = match outcome {
            Outcome::Done(model, measured) => (model, measured),
            Outcome::Stopped(model) => return Ok((Trained { model, optimizer, record }, true)),
        };
        trained = Trained { model, optimizer, record };
        let iteration = trained.record.iteration + 1;
        for (what, found) in [("loss", measured.loss), ("gradient norm", measured.grad_norm)] {
            if !found.is_finite() {
                let location = self.locate(out, iteration, measured, &batch)?;
                return Err(TrainError::NotFinite { iteration, what, found, location });
            }
        }
        let tokens = (batch.len() * batch.seq_len()) as u64;
        trained.record.iteration = iteration;
        trained.record.tokens += tokens;
        trained.record.cursor = batch.after;
        let done = log.measured(&mut trained.record, measured, lr, tokens)?;
        report.progress(&done);
        Ok((trained, stop.load(Ordering::Relaxed)))
    }

    fn schedule(&self) -> Schedule {
        self.experiment.schedule.over(self.plan.iterations)
    }

    /// Whether one of `times` points, spread evenly over the run, is at the end of an iteration.
    fn is_due(&self, iteration: u64, times: u64) -> bool {
        let passed = |iteration: u64| {
            u128::from(iteration) * u128::from(times) / u128::from(self.plan.iterations)
        };
        iteration > 0 && passed(iteration) > passed(iteration - 1)
    }

    /// Writes where a batch lies whose loss is not a number.
    fn locate(
        &self,
        out: &Path,
        iteration: u64,
        measured: Measured,
        batch: &Batch,
    ) -> Result<PathBuf, TrainError> {
        #[derive(Serialize)]
        struct BadBatch {
            iteration: u64,
            loss: String,
            grad_norm: String,
            sequences: Vec<Place>,
        }
        let bad = BadBatch {
            iteration,
            loss: measured.loss.to_string(),
            grad_norm: measured.grad_norm.to_string(),
            sequences: places(&self.sources, batch, 0..batch.len()),
        };
        let path = out.join(BAD_BATCH_FILE);
        let mut file = StagedFile::create(&path)?;
        file.write_json(&bad)?;
        file.commit()?;
        Ok(path)
    }

    fn write_resolved(&self, out: &Path) -> Result<(), TrainError> {
        let path = out.join(RESOLVED_FILE);
        let text = toml::to_string(&self.experiment).map_err(|wrong| TrainError::Io {
            path: path.clone(),
            source: std::io::Error::other(wrong),
        })?;
        let mut file = StagedFile::create(&path)?;
        file.write(text.as_bytes())?;
        file.commit()?;
        Ok(())
    }

    /// Draws the curve, exports the weights and sums up.
    fn finish(
        &self,
        out: &Path,
        trained: &Trained,
        log: &Log,
        newest: Option<PathBuf>,
        (device, stop): (&Device, &AtomicBool),
    ) -> Result<Summary, TrainError> {
        let checkpoint = match newest {
            Some(path) => path,
            None => checkpoint::save(
                out,
                &trained.model,
                &trained.optimizer,
                &trained.record,
                self.experiment.training.keep.get(),
            )?,
        };
        let lines = metrics::read(out)?;
        let mut last_val = lines.iter().rev().find(|line| line.val_loss.is_some()).copied();
        if last_val.is_none_or(|line| line.iteration != trained.record.iteration) {
            let found = validate(&trained.model, &self.sources, &self.experiment, device, stop)?;
            if found.is_none() && stop.load(Ordering::Relaxed) {
                let iteration = trained.record.iteration;
                return Err(TrainError::Interrupted { iteration, checkpoint });
            }
            last_val = found.map(|found| Line {
                val_loss: Some(found.loss),
                val_perplexity: Some(found.perplexity),
                ..Line::default()
            });
        }
        let curve = match curve::draw(&self.name, &lines) {
            None => None,
            Some(svg) => {
                let path = out.join(CURVE_FILE);
                let mut file = StagedFile::create(&path)?;
                file.write(svg.as_bytes())?;
                file.commit()?;
                Some(path)
            }
        };
        checkpoint::export(&checkpoint, out)?;
        Ok(Summary {
            iterations: trained.record.iteration,
            tokens: trained.record.tokens,
            train_loss: lines.iter().rev().find_map(|line| line.loss),
            val_loss: last_val.and_then(|line| line.val_loss),
            val_perplexity: last_val.and_then(|line| line.val_perplexity),
            tokens_per_second: log.speed(),
            checkpoint,
            curve,
        })
    }
}

/// Ends a run that the user stopped before it began.
fn not_stopped(stop: &AtomicBool) -> Result<(), TrainError> {
    if stop.load(Ordering::Relaxed) { Err(TrainError::NotBegun) } else { Ok(()) }
}

/// Removes the place of a batch that stopped an earlier attempt: this one may pass it.
fn forget_bad_batch(out: &Path) -> Result<(), TrainError> {
    let path = out.join(BAD_BATCH_FILE);
    match std::fs::remove_file(&path) {
        Err(wrong) if wrong.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::Io { path, source: wrong })
        }
        _ => Ok(()),
    }
}

/// The type in which the layers compute, where the experiment leaves it open that of the device.
fn precision(experiment: &Experiment, on_gpu: bool) -> Precision {
    let usual = if on_gpu { Precision::Bf16 } else { Precision::F32 };
    experiment.training.precision.unwrap_or(usual)
}

/// What a run changes as it goes on.
struct Trained {
    model: Model,
    optimizer: Optimizer,
    record: Record,
}

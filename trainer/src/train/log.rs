//! Writes what is measured of a run to the metrics and the TensorBoard event files.

use std::path::Path;
use std::time::Instant;

use super::checkpoint::CheckpointRecord;
use super::error::TrainError;
use super::iteration::Measured;
use super::metrics::{Metrics, MetricsLine};
use super::report::Progress;
use super::tensorboard::Events;
use super::validate::Validated;
use crate::experiment::Experiment;

/// What a log needs to know of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions<'a> {
    pub(crate) experiment: &'a Experiment,
    /// Iterations of the whole run.
    pub(crate) iterations: u64,
    /// Peak operations of all GPUs in a second, which MFU is relative to.
    pub(crate) peak_flops: Option<f64>,
}

/// The measurements of one process of a run.
#[derive(Debug)]
pub(crate) struct Log {
    metrics: Metrics,
    events: Events,
    iterations: u64,
    line_every: u64,
    flops_per_token: f64,
    /// Peak operations of all GPUs in a second, which MFU is relative to.
    peak_flops: Option<f64>,
    since: Instant,
    /// Since the last line.
    recent: Totals,
    /// Of this process.
    all: Totals,
}

/// The sums over some iterations.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    iterations: u64,
    tokens: u64,
    seconds: f64,
    loss: f64,
}

impl Totals {
    fn add(&mut self, loss: f64, tokens: u64, seconds: f64) {
        self.iterations += 1;
        self.tokens += tokens;
        self.seconds += seconds;
        self.loss += loss;
    }

    fn speed(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }
}

impl Log {
    /// Opens the files of a run, which continue after the iteration of `record`.
    pub(crate) fn open(
        out: &Path,
        record: &CheckpointRecord,
        LogOptions { experiment, iterations, peak_flops }: LogOptions<'_>,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            metrics: Metrics::open(out, record.iteration)?,
            events: Events::create(out, record.iteration + 1)?,
            iterations,
            line_every: experiment.training.log_every.get(),
            flops_per_token: experiment.model.flops_per_token() as f64,
            peak_flops,
            since: Instant::now(),
            recent: Totals::default(),
            all: Totals::default(),
        })
    }

    /// Leaves out the time since the last iteration, which was not spent on training.
    pub(crate) fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Returns the tokens a second of this process.
    pub(crate) fn speed(&self) -> f64 {
        if self.all.tokens == 0 { 0.0 } else { self.all.speed() }
    }

    /// Adds an iteration, and writes a line where one is due.
    pub(crate) fn measured(
        &mut self,
        record: &mut CheckpointRecord,
        measured: Measured,
        lr: f64,
        tokens: u64,
    ) -> Result<Progress, TrainError> {
        let seconds = self.since.elapsed().as_secs_f64();
        self.restart();
        record.seconds += seconds;
        for totals in [&mut self.recent, &mut self.all] {
            totals.add(measured.loss, tokens, seconds);
        }
        let iteration = record.iteration;
        let line = MetricsLine {
            iteration,
            tokens: record.tokens,
            loss: Some(self.recent.loss / self.recent.iterations as f64),
            lr: Some(lr),
            grad_norm: Some(measured.grad_norm),
            tokens_per_second: Some(self.recent.speed()),
            seconds: Some(record.seconds),
            ..MetricsLine::default()
        };
        let mfu = self.peak_flops.map(|peak| self.recent.speed() * self.flops_per_token / peak);
        let seconds_each = self.all.seconds / self.all.iterations as f64;
        let seconds_left = seconds_each * self.iterations.saturating_sub(iteration) as f64;
        let logged = iteration.is_multiple_of(self.line_every) || iteration == self.iterations;
        if logged {
            self.metrics.append(&line)?;
            let mut scalars = vec![
                ("loss/train", line.loss.unwrap_or(f64::NAN)),
                ("lr", lr),
                ("grad_norm", measured.grad_norm),
                ("tokens_per_second", self.recent.speed()),
            ];
            scalars.extend(mfu.map(|mfu| ("mfu", mfu)));
            self.events.scalars(iteration, &scalars)?;
            self.recent = Totals::default();
        }
        Ok(Progress { line, iterations: self.iterations, logged, mfu, seconds_left })
    }

    /// Writes what a validation found.
    pub(crate) fn validated(
        &mut self,
        record: &CheckpointRecord,
        found: &Validated,
    ) -> Result<(), TrainError> {
        let iteration = record.iteration;
        self.metrics.append(&MetricsLine {
            iteration,
            tokens: record.tokens,
            val_loss: Some(found.loss),
            val_perplexity: Some(found.perplexity),
            ..MetricsLine::default()
        })?;
        let scalars =
            [("loss/validation", found.loss), ("perplexity/validation", found.perplexity)];
        self.events.scalars(iteration, &scalars)
    }
}

//! What is measured of a run: speed and means since the last line, in metrics and event files.

use std::path::Path;
use std::time::Instant;

use super::checkpoint::Record;
use super::error::TrainError;
use super::iteration::Measured;
use super::job::Progress;
use super::metrics::{Line, Metrics};
use super::tensorboard::Events;
use super::validate::Validated;
use crate::experiment::Experiment;

/// The measurements of one process of a run.
#[derive(Debug)]
pub(crate) struct Log {
    metrics: Metrics,
    events: Events,
    iterations: u64,
    line_every: u64,
    flops_per_token: f64,
    /// Operations a second that MFU is counted against, of all GPUs together.
    peak: Option<f64>,
    since: Instant,
    now: Window,
    all: Window,
}

/// What was measured over some iterations.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    iterations: u64,
    tokens: u64,
    seconds: f64,
    loss: f64,
}

impl Window {
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
    /// Opens the files of a run that is where `record` says; `peak` is the operations a second of
    /// all its GPUs together.
    pub(crate) fn open(
        out: &Path,
        record: &Record,
        (experiment, iterations): (&Experiment, u64),
        peak: Option<f64>,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            metrics: Metrics::open(out, record.iteration)?,
            events: Events::create(out, record.iteration + 1)?,
            iterations,
            line_every: experiment.training.log_every.get(),
            flops_per_token: experiment.model.flops_per_token() as f64,
            peak,
            since: Instant::now(),
            now: Window::default(),
            all: Window::default(),
        })
    }

    /// Leaves out the time since the last iteration: it was none of training.
    pub(crate) fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Returns the tokens a second of this process.
    pub(crate) fn speed(&self) -> f64 {
        if self.all.tokens == 0 { 0.0 } else { self.all.speed() }
    }

    /// Takes in an iteration, and writes a line where one is due.
    pub(crate) fn measured(
        &mut self,
        record: &mut Record,
        measured: Measured,
        lr: f64,
        tokens: u64,
    ) -> Result<Progress, TrainError> {
        let seconds = self.since.elapsed().as_secs_f64();
        self.restart();
        record.seconds += seconds;
        for window in [&mut self.now, &mut self.all] {
            window.add(measured.loss, tokens, seconds);
        }
        let iteration = record.iteration;
        let line = Line {
            iteration,
            tokens: record.tokens,
            loss: Some(self.now.loss / self.now.iterations as f64),
            lr: Some(lr),
            grad_norm: Some(measured.grad_norm),
            tokens_per_second: Some(self.now.speed()),
            seconds: Some(record.seconds),
            ..Line::default()
        };
        let mfu = self.peak.map(|peak| self.now.speed() * self.flops_per_token / peak);
        let seconds_each = self.all.seconds / self.all.iterations as f64;
        let seconds_left = seconds_each * self.iterations.saturating_sub(iteration) as f64;
        let logged = iteration.is_multiple_of(self.line_every) || iteration == self.iterations;
        if logged {
            self.metrics.append(&line)?;
            let mut scalars = vec![
                ("loss/train", line.loss.unwrap_or(f64::NAN)),
                ("lr", lr),
                ("grad_norm", measured.grad_norm),
                ("tokens_per_second", self.now.speed()),
            ];
            scalars.extend(mfu.map(|mfu| ("mfu", mfu)));
            self.events.scalars(iteration, &scalars)?;
            self.now = Window::default();
        }
        Ok(Progress { line, iterations: self.iterations, logged, mfu, seconds_left })
    }

    /// Writes what a validation found.
    pub(crate) fn validated(
        &mut self,
        record: &Record,
        found: &Validated,
    ) -> Result<(), TrainError> {
        let iteration = record.iteration;
        self.metrics.append(&Line {
            iteration,
            tokens: record.tokens,
            val_loss: Some(found.loss),
            val_perplexity: Some(found.perplexity),
            ..Line::default()
        })?;
        let scalars =
            [("loss/validation", found.loss), ("perplexity/validation", found.perplexity)];
        self.events.scalars(iteration, &scalars)
    }
}

//! What a run reports: its progress while it trains, and a summary at its end.

use std::path::PathBuf;

use serde::Serialize;

use super::metrics::MetricsLine;
use super::validate::Validated;

/// Receives what a run reports while it trains.
pub trait Report {
    /// Receives a remark.
    fn note(&mut self, text: &str);
    /// Receives the progress after an iteration.
    fn progress(&mut self, progress: &Progress);
    /// Receives the result of a validation.
    fn validated(&mut self, iteration: u64, found: &Validated);
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The line of metrics so far; `loss` is the mean since the last line that was written.
    pub line: MetricsLine,
    /// Iterations of the whole run.
    pub iterations: u64,
    /// Whether the line was written to the metrics.
    pub logged: bool,
    /// The fraction of the GPU's peak that was used.
    pub mfu: Option<f64>,
    /// Seconds until the end, at the speed so far.
    pub seconds_left: f64,
}

/// The result of a run.
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
    /// exp(`val_loss`).
    pub val_perplexity: Option<f64>,
    /// Tokens per second of this process, without validation and checkpoints.
    pub tokens_per_second: f64,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The loss curve, if it has at least two points.
    pub curve: Option<PathBuf>,
}

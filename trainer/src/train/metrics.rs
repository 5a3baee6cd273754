//! The metrics of a run as JSON Lines: one object for each logged iteration and each validation.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ratdata_schemas::StagedFile;
use serde::{Deserialize, Serialize};

use super::error::TrainError;

/// The file of a run's metrics.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// One line of metrics: the means over the iterations since the line before, or a validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// Iterations done.
    pub iteration: u64,
    /// Tokens read so far.
    pub tokens: u64,
    /// Mean training loss since the line before, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Validation loss, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// exp(`val_loss`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_perplexity: Option<f64>,
    /// Learning rate of the last iteration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Gradient norm of the last iteration, before clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
    /// Tokens a second since the line before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Seconds of training so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// The open file of a run's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file of a run that has done `iterations`, and drops the lines of later iterations,
    /// which will be measured again.
    ///
    /// # Errors
    /// Returns [`TrainError::Io`] where the system refuses.
    pub(crate) fn open(out: &Path, iterations: u64) -> Result<Self, TrainError> {
        let path = out.join(METRICS_FILE);
        let kept: Vec<MetricsLine> =
            read(out)?.into_iter().filter(|line| line.iteration <= iterations).collect();
        let mut text = Vec::new();
        for line in &kept {
            write_line(&mut text, line).map_err(TrainError::io(&path))?;
        }
        let mut staged = StagedFile::create(&path)?;
        staged.write(&text)?;
        staged.commit()?;
        let file = File::options().append(true).open(&path).map_err(TrainError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Returns [`TrainError::Io`] where the system refuses.
    pub(crate) fn append(&mut self, line: &MetricsLine) -> Result<(), TrainError> {
        write_line(&mut self.file, line).map_err(TrainError::io(&self.path))
    }
}

fn write_line(to: &mut impl Write, line: &MetricsLine) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)
}

/// Reads the metrics of a run. A last line that a crash cut off is left out.
///
/// # Errors
/// Returns [`TrainError::Io`] where the file is there and cannot be read.
pub fn read(out: &Path) -> Result<Vec<MetricsLine>, TrainError> {
    let path = out.join(METRICS_FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(TrainError::io(&path))?;
    Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_drops_what_it_will_measure_again() {
        let folder = tempfile::tempdir().unwrap();
        let line = |iteration| MetricsLine { iteration, loss: Some(5.0), ..MetricsLine::default() };
        let mut metrics = Metrics::open(folder.path(), 0).unwrap();
        for iteration in [10, 20, 30] {
            metrics.append(&line(iteration)).unwrap();
        }
        File::options()
            .append(true)
            .open(folder.path().join(METRICS_FILE))
            .unwrap()
            .write_all(b"{\"iterat")
            .unwrap();

        Metrics::open(folder.path(), 20).unwrap().append(&line(25)).unwrap();

        assert_eq!(read(folder.path()).unwrap(), [line(10), line(20), line(25)]);
    }
}

//! The files of a run other than metrics and checkpoints: the experiment, the curve, a bad batch.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use ratdata_schemas::{write_bytes, write_json};
use serde::Serialize;

use super::error::TrainError;
use super::iteration::Measured;
use crate::data::SequenceLocation;
use crate::experiment::Experiment;

/// The resolved experiment, in the run's folder.
pub const RESOLVED_FILE: &str = "resolved.toml";

/// The loss curve, in the run's folder.
pub const CURVE_FILE: &str = "loss.svg";

/// The locations of a batch whose loss or gradient was not finite.
pub const BAD_BATCH_FILE: &str = "bad-batch.json";

/// Writes the resolved experiment.
pub(super) fn write_resolved(out: &Path, experiment: &Experiment) -> Result<(), TrainError> {
    let path = out.join(RESOLVED_FILE);
    let text = toml::to_string(experiment).map_err(|wrong| TrainError::Io {
        path: path.clone(),
        source: std::io::Error::other(wrong),
    })?;
    Ok(write_bytes(&path, text.as_bytes())?)
}

/// Writes the loss curve and returns its file.
pub(super) fn write_curve(out: &Path, svg: &str) -> Result<PathBuf, TrainError> {
    let path = out.join(CURVE_FILE);
    write_bytes(&path, svg.as_bytes())?;
    Ok(path)
}

/// A batch whose loss or gradient was not finite.
#[derive(Serialize)]
pub(super) struct BadBatch {
    iteration: u64,
    loss: String,
    grad_norm: String,
    sequences: Vec<SequenceLocation>,
}

impl BadBatch {
    pub(super) fn new(
        iteration: u64,
        measured: Measured,
        sequences: Vec<SequenceLocation>,
    ) -> Self {
        let text = |number: &dyn Display| number.to_string();
        Self {
            iteration,
            loss: text(&measured.loss),
            grad_norm: text(&measured.grad_norm),
            sequences,
        }
    }

    /// Writes the batch and returns its file.
    pub(super) fn write(&self, out: &Path) -> Result<PathBuf, TrainError> {
        let path = out.join(BAD_BATCH_FILE);
        write_json(&path, self)?;
        Ok(path)
    }
}

/// Removes the bad batch of an earlier attempt, which this attempt may train on.
pub(super) fn forget_bad_batch(out: &Path) -> Result<(), TrainError> {
    let path = out.join(BAD_BATCH_FILE);
    match std::fs::remove_file(&path) {
        Err(wrong) if wrong.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::Io { path, source: wrong })
        }
        _ => Ok(()),
    }
}

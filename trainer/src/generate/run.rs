//! The model of a run: its configuration from the resolved experiment, its newest weights.

use std::path::Path;

use burn::tensor::Device;

use super::error::GenerateError;
use crate::device::Hardware;
use crate::experiment::Experiment;
use crate::model::Model;
use crate::train::{CheckpointRecord, RESOLVED_FILE, check_weights, read_weights};

/// A model that was trained.
#[derive(Debug)]
pub struct TrainedModel {
    /// The model, with its weights.
    pub model: Model,
    /// The device that it computes on.
    pub device: Device,
}

/// Reads the model of a run's folder, or of one of its checkpoints.
///
/// # Errors
/// Returns [`GenerateError`] where there is none, or where the weights are of another model.
pub fn load_run(
    path: &Path,
    device: &Device,
    hardware: Hardware,
) -> Result<TrainedModel, GenerateError> {
    let experiment = experiment_of(path)?;
    check_weights(&experiment.model, path)?;
    // The CPU's kernels for caches compute in f32.
    let wanted = experiment.training.precision.filter(|_| hardware.is_gpu());
    let precision = hardware.precision(wanted)?;
    let mut model = experiment.model.init(device, experiment.training.seed);
    read_weights(&mut model, path, None)?;
    Ok(TrainedModel { model: model.with_precision(precision), device: device.clone() })
}

fn experiment_of(path: &Path) -> Result<Experiment, GenerateError> {
    let resolved = path.join(RESOLVED_FILE);
    if resolved.is_file() {
        let wrong = |reason: String| GenerateError::Resolved { path: resolved.clone(), reason };
        let text = std::fs::read_to_string(&resolved).map_err(|error| wrong(error.to_string()))?;
        let experiment: Experiment =
            toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        experiment.model.validate().map_err(|error| wrong(error.to_string()))?;
        return Ok(experiment);
    }
    if path.join(CheckpointRecord::FILE).is_file() {
        return Ok(CheckpointRecord::read(path)?.experiment);
    }
    Err(GenerateError::NoRun { path: path.to_owned(), resolved: RESOLVED_FILE })
}

//! The train state: model, optimizer and the record of how far a run is.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::checkpoint::{self, CheckpointRecord};
use super::error::TrainError;
use super::job::Job;
use super::report::Report;
use super::weights::read_weights;
use crate::model::Model;
use crate::optim::Optimizer;

/// Everything that an iteration changes, and a checkpoint stores.
pub(super) struct TrainState {
    pub(super) model: Model,
    pub(super) optimizer: Optimizer,
    pub(super) record: CheckpointRecord,
}

impl TrainState {
    /// Makes the model and its optimizer on a device, or reads them from a checkpoint.
    pub(super) fn begin(
        job: &Job,
        from: Option<&Path>,
        device: &Device,
        report: &mut dyn Report,
    ) -> Result<Self, TrainError> {
        let experiment = job.experiment();
        let (training, data) = (&experiment.training, job.checksums());
        let mut model =
            experiment.model.init(device, training.seed).with_precision(job.precision());
        let mut optimizer = experiment.optimizer.init();
        let mut record = CheckpointRecord::new(experiment.clone(), data.clone());
        if let Some(path) = from {
            let found = CheckpointRecord::read(path)?;
            found.check(path, experiment, &data)?;
            if found.experiment != *experiment {
                report.note("the experiment differs from the checkpoint's; see `resolved.toml`");
            }
            (model, optimizer) = checkpoint::load(path, model, optimizer)?;
            report.note(&format!("resuming from {}", path.display()));
            let CheckpointRecord { iteration, tokens, cursor, seconds, .. } = found;
            record = CheckpointRecord { iteration, tokens, cursor, seconds, ..record };
        } else if let Some(path) = &training.init_from {
            let file = read_weights(&mut model, path, training.init_key.as_deref())?;
            report.note(&format!("beginning with the weights of {}", file.display()));
        }
        Ok(Self { model, optimizer, record })
    }

    /// Writes a checkpoint, keeps the newest `keep`, and returns its folder.
    pub(super) fn save(&self, out: &Path, keep: usize) -> Result<PathBuf, TrainError> {
        checkpoint::save(out, &self.model, &self.optimizer, &self.record, keep)
    }
}

//! Validation: the loss on the validation parts.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;

use super::error::TrainError;
use super::iteration::forward;
use crate::data::{Source, validation_batches};
use crate::experiment::Experiment;
use crate::model::Model;

/// What a validation found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Validated {
    /// Mean loss over the counted labels, in nats.
    pub loss: f64,
    /// exp(`loss`).
    pub perplexity: f64,
    /// Labels that the loss was taken at.
    pub labels: u64,
}

/// Reads the validation parts in order and returns the mean loss. Returns nothing where there is no
/// label, or where the run was stopped meanwhile.
///
/// # Errors
/// Returns [`TrainError::Data`] where a sequence does not fit the model.
pub fn validate(
    model: &Model,
    sources: &[Source],
    experiment: &Experiment,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<Validated>, TrainError> {
    let model = model.valid();
    let device = device.clone().inner();
    let (seq_len, training) = (experiment.model.seq_len.get(), &experiment.training);
    let limit = training.validation_sequences.map_or(u64::MAX, NonZeroU64::get);
    let (mut nll, mut labels) = (0.0, 0);
    for batch in validation_batches(sources, seq_len, training.micro_batch.get(), limit) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        let output = forward(&model, &batch, 0..batch.len(), &device);
        nll += f64::from(output.nll.into_scalar::<f32>());
        labels += batch.counted(0..batch.len());
    }
    if labels == 0 {
        return Ok(None);
    }
    let loss = nll / labels as f64;
    Ok(Some(Validated { loss, perplexity: loss.exp(), labels }))
}

//! One iteration: gradients of a batch in micro-batches, and one step of the optimizer.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Batch;
use crate::model::{Context, LossOutput, Model};
use crate::optim::{Gradients, Optimizer};

/// What an iteration found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Mean loss over the counted labels, in nats.
    pub loss: f64,
    /// Norm over all gradients together, before clipping.
    pub grad_norm: f64,
    /// Labels that the loss was taken at.
    pub counted: u64,
}

/// How an iteration ended.
#[derive(Debug)]
pub enum Outcome {
    /// The step was taken, unless loss or norm is not finite: then the model is as it was.
    Done(Model, Measured),
    /// It was stopped between two micro-batches, and nothing changed.
    Stopped(Model),
}

/// Runs one iteration.
///
/// The loss of each micro-batch is divided by the labels of the whole batch that count, so that
/// the gradient is that of the batch's mean however it is cut.
pub fn iterate(
    model: Model,
    optimizer: &mut Optimizer,
    batch: &Batch,
    (micro, lr): (usize, f64),
    device: &Device,
    stop: &AtomicBool,
) -> Outcome {
    let counted = batch.counted(0..batch.len());
    let mut sum: Option<(Tensor<1>, Gradients)> = None;
    for start in (0..batch.len()).step_by(micro) {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Stopped(model);
        }
        let output = forward(&model, batch, start..(start + micro).min(batch.len()), device);
        let nll = output.nll.clone().detach();
        let grads = Gradients::of(&(output.nll / counted.max(1) as f64), &model);
        sum = Some(match sum {
            None => (nll, grads),
            Some((total, sum)) => (total + nll, sum.plus(grads, &model)),
        });
    }
    let Some((nll, grads)) = sum else { return Outcome::Stopped(model) };
    let loss = f64::from(nll.into_scalar::<f32>()) / counted.max(1) as f64;
    if !loss.is_finite() {
        return Outcome::Done(model, Measured { loss, grad_norm: f64::NAN, counted });
    }
    let step = optimizer.step(lr, model, grads);
    Outcome::Done(step.model, Measured { loss, grad_norm: step.grad_norm, counted })
}

/// Computes the loss of some sequences of a batch.
pub fn forward(
    model: &Model,
    batch: &Batch,
    sequences: Range<usize>,
    device: &Device,
) -> LossOutput {
    let seq_len = batch.seq_len();
    let tensor = |values: &[i32]| {
        let values = values[sequences.start * seq_len..sequences.end * seq_len].to_vec();
        Tensor::<2, Int>::from_data(TensorData::new(values, [sequences.len(), seq_len]), device)
    };
    let starts = &batch.starts[sequences.clone()];
    let context = if starts.iter().all(|starts| starts.len() < 2) {
        Context::Whole
    } else {
        Context::Packed(starts.to_vec())
    };
    model.loss(tensor(&batch.inputs), tensor(&batch.labels), &context)
}

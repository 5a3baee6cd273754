//! One iteration: gradients of a batch in micro-batches, and one step of the optimizer.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use burn::module::Module;
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

/// Runs one iteration on the devices, the first of which holds the model.
///
/// The loss of each micro-batch is divided by the labels of the whole batch that count, so that
/// the gradient is that of the batch's mean however it is cut. Several devices share out the
/// micro-batches in turn, each with a copy of the model; their gradients are added up on the first
/// one, in the order of the devices, and the step is taken there.
pub fn iterate(
    model: Model,
    optimizer: &mut Optimizer,
    batch: &Batch,
    (micro, recompute, lr): (usize, bool, f64),
    devices: &[Device],
    stop: &AtomicBool,
) -> Outcome {
    let counted = batch.counted(0..batch.len());
    let starts = (0..batch.len()).step_by(micro);
    let all: Vec<Range<usize>> =
        starts.map(|start| start..(start + micro).min(batch.len())).collect();
    let parts = match devices {
        [] => return Outcome::Stopped(model),
        [device] => vec![part(&model, batch, &all, (counted, recompute), device, stop)],
        devices => parts(&model, batch, &all, (counted, recompute), devices, stop),
    };
    let mut nll = 0.0;
    let mut sum: Option<Gradients> = None;
    for part in parts {
        let Some((more, grads)) = part else { return Outcome::Stopped(model) };
        nll += more;
        sum = Some(match sum {
            None => grads,
            Some(sum) => {
                let first = devices[0].clone().inner();
                sum.plus(grads.to_device(&first, &model), &model)
            }
        });
    }
    let loss = nll / counted.max(1) as f64;
    let Some(grads) = sum.filter(|_| loss.is_finite()) else {
        return Outcome::Done(model, Measured { loss, grad_norm: f64::NAN, counted });
    };
    let step = optimizer.step(lr, model, grads);
    Outcome::Done(step.model, Measured { loss, grad_norm: step.grad_norm, counted })
}

/// Loss and gradients of some micro-batches, or nothing where it was stopped between two.
type Part = Option<(f64, Gradients)>;

/// Runs a thread for each device, with a copy of the model and every so many-th micro-batch.
fn parts(
    model: &Model,
    batch: &Batch,
    all: &[Range<usize>],
    how: (u64, bool),
    devices: &[Device],
    stop: &AtomicBool,
) -> Vec<Part> {
    let share = |number: usize| -> Vec<Range<usize>> {
        all.iter().skip(number).step_by(devices.len()).cloned().collect()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = devices
            .iter()
            .enumerate()
            // Fewer micro-batches than devices leave the last devices idle.
            .take(all.len())
            .map(|(number, device)| {
                let (replica, share) = (model.clone().fork(device), share(number));
                scope.spawn(move || part(&replica, batch, &share, how, device, stop))
            })
            .collect();
        let join = |worker: ScopedJoinHandle<'_, Part>| {
            // A panic of one device's thread is the program's.
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    })
}

fn part(
    model: &Model,
    batch: &Batch,
    share: &[Range<usize>],
    (counted, recompute): (u64, bool),
    device: &Device,
    stop: &AtomicBool,
) -> Part {
    let mut sum: Option<(Tensor<1>, Gradients)> = None;
    for sequences in share {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let (tokens, labels, context) = inputs(batch, sequences.clone(), device);
        let how = (counted.max(1) as f64, recompute);
        let (nll, grads) = model.gradients(tokens, labels, &context, how);
        sum = Some(match sum {
            None => (nll, grads),
            Some((total, sum)) => (total + nll, sum.plus(grads, model)),
        });
    }
    // Reading the loss waits for the device, once an iteration.
    sum.map(|(nll, grads)| (f64::from(nll.into_scalar::<f32>()), grads))
}

/// Computes the loss of some sequences of a batch.
pub fn forward(
    model: &Model,
    batch: &Batch,
    sequences: Range<usize>,
    device: &Device,
) -> LossOutput {
    let (tokens, labels, context) = inputs(batch, sequences, device);
    model.loss(tokens, labels, &context)
}

/// Lays some sequences of a batch out on a device.
fn inputs(
    batch: &Batch,
    sequences: Range<usize>,
    device: &Device,
) -> (Tensor<2, Int>, Tensor<2, Int>, Context) {
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
    (tensor(&batch.inputs), tensor(&batch.labels), context)
}

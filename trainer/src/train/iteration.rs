//! One iteration: the gradients of a batch in micro-batches, and one update by the optimizer.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Batch;
use crate::documents::Documents;
use crate::model::{BackwardOptions, Gradients, LossOutput, Model};
use crate::optim::Optimizer;
use crate::workers::among_workers;

/// Says how an iteration is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IterationOptions {
    /// Sequences that go through the model together.
    pub micro_batch: usize,
    /// Whether the backward pass computes each block again.
    pub recompute: bool,
    /// The learning rate.
    pub lr: f64,
}

/// What an iteration measured.
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
    /// The model was updated, unless loss or norm is not finite: then it is as it was.
    Done(Model, Measured),
    /// The iteration was stopped between two micro-batches, and nothing changed.
    Stopped(Model),
}

/// Runs one iteration on the devices, the first of which holds the model.
///
/// The loss of each micro-batch is divided by the number of labels of the whole batch that count.
/// So the size of the micro-batches does not change the gradient. Several devices take the
/// micro-batches in turn, each with a copy of the model. Their gradients are added up on the first
/// device, in the order of the devices, and the optimizer updates the model there.
pub fn iterate(
    model: Model,
    optimizer: &mut Optimizer,
    batch: &Batch,
    IterationOptions { micro_batch, recompute, lr }: IterationOptions,
    devices: &[Device],
    stop: &AtomicBool,
) -> Outcome {
    let counted = batch.counted(0..batch.len());
    let starts = (0..batch.len()).step_by(micro_batch);
    let all: Vec<Range<usize>> =
        starts.map(|start| start..(start + micro_batch).min(batch.len())).collect();
    let work = Work {
        batch,
        options: BackwardOptions { divisor: counted.max(1) as f64, recompute },
        stop,
    };
    let shares = match devices {
        [] => return Outcome::Stopped(model),
        [device] => vec![work.on_device(&model, &all, device)],
        devices => work.on_devices(&model, &all, devices),
    };
    let mut nll = 0.0;
    let mut sum: Option<Gradients> = None;
    for share in shares {
        let Some((more, grads)) = share else { return Outcome::Stopped(model) };
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
    let updated = optimizer.update(lr, model, grads);
    Outcome::Done(updated.model, Measured { loss, grad_norm: updated.grad_norm, counted })
}

/// Loss and gradients of some micro-batches, or nothing where the iteration was stopped.
type ShareResult = Option<(f64, Gradients)>;

/// What all devices of an iteration need to know.
#[derive(Clone, Copy)]
struct Work<'a> {
    batch: &'a Batch,
    options: BackwardOptions,
    stop: &'a AtomicBool,
}

impl Work<'_> {
    /// Runs a thread for each device, with a copy of the model and every N-th of the micro-batches,
    /// where N is the number of devices.
    fn on_devices(
        self,
        model: &Model,
        all: &[Range<usize>],
        devices: &[Device],
    ) -> Vec<ShareResult> {
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
                    scope.spawn(move || self.on_device(&replica, &share, device))
                })
                .collect();
            let join = |worker: ScopedJoinHandle<'_, ShareResult>| {
                // A panic of one device's thread is a panic of the program.
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        })
    }

    /// Computes some micro-batches on one device.
    fn on_device(self, model: &Model, share: &[Range<usize>], device: &Device) -> ShareResult {
        let mut sum: Option<(Tensor<1>, Gradients)> = None;
        let working = model.with_cast_matrices();
        for sequences in share {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let Inputs { tokens, labels, documents } =
                Inputs::new(self.batch, sequences.clone(), device);
            let (nll, grads) = among_workers(device, || {
                working.gradients(tokens, labels, &documents, self.options)
            });
            let grads = grads.in_f32(model);
            sum = Some(match sum {
                None => (nll, grads),
                Some((total, sum)) => (total + nll, sum.plus(grads, model)),
            });
        }
        // Reading the loss waits for the device, once in an iteration.
        sum.map(|(nll, grads)| (f64::from(nll.into_scalar::<f32>()), grads))
    }
}

/// Computes the loss of some sequences of a batch.
pub fn forward(
    model: &Model,
    batch: &Batch,
    sequences: Range<usize>,
    device: &Device,
) -> LossOutput {
    let Inputs { tokens, labels, documents } = Inputs::new(batch, sequences, device);
    model.loss(tokens, labels, &documents)
}

/// Some sequences of a batch on a device.
struct Inputs {
    tokens: Tensor<2, Int>,
    labels: Tensor<2, Int>,
    documents: Documents,
}

impl Inputs {
    fn new(batch: &Batch, sequences: Range<usize>, device: &Device) -> Self {
        let shape = [sequences.len(), batch.seq_len()];
        let cells = batch.cells(sequences.clone());
        let tensor = |values: &[i32]| {
            let values = values[cells.clone()].to_vec();
            Tensor::<2, Int>::from_data(TensorData::new(values, shape), device)
        };
        Self {
            tokens: tensor(&batch.inputs),
            labels: tensor(&batch.labels),
            documents: batch.documents(sequences),
        }
    }
}

//! The trainer: language models of attention, RNN and RAT layers in [Burn](burn), on token bins.
//!
//! ```text
//! bench/         speed of layers and of decoding
//! generate/      text of a trained model, as ids
//!   -> train/         a run: iterations, validation, checkpoints, metrics
//!   -> cost/          what training costs on a GPU, before there is one
//!        -> experiment/   the configuration of a run, from TOML
//!             -> data/        sources, their order, batches, and the cursor of a run in them
//!             -> optim/       AdamW and the learning rate
//!                  -> model/      the decoder, its layers, its gradients and its caches
//!                       -> kernels/   operations with a backward pass of their own
//! reference/     the layers in plain `f64` loops: the slow twins
//! documents.rs   where documents begin within a row
//! device.rs      the CPU or a GPU
//! convert.rs     conversions of numbers
//! ```
//!
//! # Examples
//!
//! The loss of an untrained model:
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use ratdata_train::documents::Documents;
//! use ratdata_train::experiment::find;
//!
//! let sets = ["model.vocab_size=50", "model.seq_len=32"].map(str::to_owned);
//! let experiment = find("tiny-rat", &sets)?.experiment;
//! let device = Device::flex();
//! let model = experiment.model.init(&device, experiment.training.seed);
//!
//! let tokens = Tensor::<1, Int>::arange(0..32, &device).reshape([1, 32]);
//! let labels = Tensor::<1, Int>::arange(1..33, &device).reshape([1, 32]);
//! let output = model.loss(tokens, labels, &Documents::OnePerRow);
//!
//! // The loss is a sum over the labels. Without training, all 50 ids are about equally likely.
//! let loss = output.nll.into_scalar::<f32>() / 32.0;
//! assert!((loss - 50_f32.ln()).abs() < 0.5);
//! # Ok::<(), ratdata_train::experiment::ExperimentError>(())
//! ```

pub mod bench;
mod convert;
pub mod cost;
pub mod data;
pub mod device;
pub mod documents;
pub mod experiment;
pub mod generate;
pub mod kernels;
pub mod model;
pub mod optim;
pub mod reference;
pub mod train;
mod workers;

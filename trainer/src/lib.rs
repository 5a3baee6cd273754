//! The trainer: language models of attention, RNN and RAT layers in [Burn](burn), on token bins.
//!
//! ```text
//! train/         a run: iterations, validation, checkpoints, metrics
//!   -> experiment/   the configuration of a run, from TOML
//!        -> data/        sources, their order, batches, and the cursor of a run in them
//!        -> optim/       AdamW and the learning rate
//!             -> model/      the decoder, its layers and its gradients
//!                  -> kernels/   operations with a backward pass of their own
//! reference/     the layers in plain `f64` loops: the slow twins
//! documents.rs   where documents begin within a row
//! device.rs      the CPU or a GPU
//! convert.rs     conversions of numbers
//! ```

mod convert;
pub mod data;
pub mod device;
pub mod documents;
pub mod experiment;
pub mod kernels;
pub mod model;
pub mod optim;
pub mod reference;
pub mod train;

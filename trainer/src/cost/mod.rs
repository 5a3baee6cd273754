//! What training costs on a GPU, before there is one.

mod gpu_model;
mod prediction;

pub use gpu_model::{GpuModel, UnknownGpu};
pub use prediction::{Part, PartCost, Prediction};

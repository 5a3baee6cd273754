//! The trainer's kernels for GPUs, in `CubeCL`. They know buffers of a GPU, and neither Burn nor models.
//!
//! ```text
//! gelu.rs  rotation.rs  adamw.rs  output_gate.rs    kernels of single values
//! rms_norm.rs  softmax.rs  cross_entropy.rs         kernels of rows
//! scan/                                             gates and scans of a projection
//! embedding.rs                                      the sums of derivatives by ids
//! sigmoid.rs         the sigmoid of gates
//! rows.rs            sums and maxima over a row
//! operand.rs         a tensor as the kernels take it, and how many threads they get
//! machine.rs         what a kernel is compiled for, on a machine without a GPU
//! definition.rs      all kernels as CUDA C++
//! ```
//!
//! The file of a kernel has a function, too, that checks its operands and launches it.
//! Without the feature `kernels` the crate is empty. `tests/` runs each kernel through wgpu next to a
//! plain loop in `f64`, and `scripts/check_gpu_kernels.py` compiles each for CUDA.

#[cfg(feature = "kernels")]
pub mod adamw;
#[cfg(feature = "kernels")]
pub mod cross_entropy;
#[cfg(feature = "cuda-source")]
pub mod definition;
#[cfg(feature = "kernels")]
pub mod embedding;
#[cfg(feature = "kernels")]
pub mod gelu;
#[cfg(feature = "cuda-source")]
mod machine;
#[cfg(feature = "kernels")]
mod operand;
#[cfg(feature = "kernels")]
pub mod output_gate;
#[cfg(feature = "kernels")]
pub mod rms_norm;
#[cfg(feature = "kernels")]
pub mod rotation;
#[cfg(feature = "kernels")]
mod rows;
#[cfg(feature = "kernels")]
pub mod scan;
#[cfg(feature = "kernels")]
mod sigmoid;
#[cfg(feature = "kernels")]
pub mod softmax;

#[cfg(feature = "kernels")]
pub use operand::{Operand, Vectors};

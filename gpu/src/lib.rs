//! The trainer's kernels for GPUs, in `CubeCL`. They know buffers of a GPU, and neither Burn nor models.
//!
//! ```text
//! gelu.rs  scan.rs   the kernels, each with a function that checks its operands and launches it
//! operand.rs         a tensor as the kernels take it, and how many threads they get
//! machine.rs         what a kernel is compiled for, on a machine without a GPU
//! definition.rs      all kernels as CUDA C++
//! ```
//!
//! Without the feature `kernels` the crate is empty. `tests/` runs each kernel through wgpu next to a
//! plain loop in `f64`, and `scripts/check_gpu_kernels.py` compiles each for CUDA.

#[cfg(feature = "cuda-source")]
pub mod definition;
#[cfg(feature = "kernels")]
pub mod gelu;
#[cfg(feature = "cuda-source")]
mod machine;
#[cfg(feature = "kernels")]
mod operand;
#[cfg(feature = "kernels")]
pub mod scan;

#[cfg(feature = "kernels")]
pub use operand::Operand;

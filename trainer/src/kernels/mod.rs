//! Operations with a backward pass of their own. They know tensors, and no model.
//!
//! ```text
//! attention/        softmax attention by tiles of queries and keys, under a mask
//! cached_attention/ softmax attention of one query a slot over stored keys
//! scan/             the gated recurrence, with one kernel for each backend
//! cross_entropy.rs  the tied output layer and its loss, by blocks of tokens
//! gelu/             the exact GELU
//! row_product/      products of a few rows with weights
//! vector_level.rs   loops for the vector instructions that the processor has
//! cube.rs           what the kernels for GPUs share
//! slices.rs         the cuts, joins and casts that these share
//! ```

pub(crate) mod attention;
pub(crate) mod cached_attention;
pub(crate) mod cross_entropy;
#[cfg(feature = "cube")]
mod cube;
pub(crate) mod gelu;
pub(crate) mod row_product;
pub mod scan;
mod slices;
mod vector_level;

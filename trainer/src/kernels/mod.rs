//! Operations with a backward pass of their own. They know tensors, and no model.
//!
//! ```text
//! adamw/            one update of a parameter
//! attention/        softmax attention by tiles of queries and keys, under a mask
//! cached_attention/ softmax attention of one query a slot over stored keys
//! scan/             gates and scans of recurrent layers, of a projection in one pass
//! output_gate/      the gate after them
//! embedding/        rows by ids, and the sums of their derivatives
//! cross_entropy/    the tied output layer and its loss, by blocks of tokens
//! gelu/             the exact GELU
//! projection/       the product of rows and weights
//! rms_norm/         the root-mean-square norm
//! rotation/         the rotation of channels by angles
//! row_product/      products of a few rows with weights
//! best_output/      the largest of these products
//! vector_level.rs   loops for the vector instructions that the processor has
//! vectors.rs        vectors by hand, for loops that the compiler does not find
//! tile.rs           the tile of a matrix product on the CPU
//! outputs.rs        operations with several outputs in the graph of derivatives
//! flex_tensors.rs   tensors of the CPU as slices
//! cube.rs           what the kernels for GPUs share
//! slices.rs         the cuts, joins and casts that these share
//! ```

pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod best_output;
pub(crate) mod cached_attention;
pub(crate) mod cross_entropy;
#[cfg(feature = "cube")]
mod cube;
pub(crate) mod embedding;
mod flex_tensors;
pub(crate) mod gelu;
pub(crate) mod output_gate;
mod outputs;
pub(crate) mod projection;
pub(crate) mod rms_norm;
pub(crate) mod rotation;
pub(crate) mod row_product;
pub(crate) mod scan;
mod slices;
mod tile;
mod vector_level;
mod vectors;

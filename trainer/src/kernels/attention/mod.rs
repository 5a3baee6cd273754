//! Softmax attention by tiles, recomputed in the backward pass: no T×T matrix is ever kept.
//!
//! ```text
//! operation.rs   the three operations and their place in the graph of derivatives
//!   -> blockwise.rs   both passes, tile by tile
//!        -> softmax/       scores to weights and back, with one kernel for the CPU
//!        -> mask.rs        which keys a query sees, and the tiles that are left to compute
//!             -> key_ranges.rs   the same for packed rows, computed on the host
//! ```

mod blockwise;
mod key_ranges;
mod mask;
mod operation;
mod softmax;

pub(crate) use key_ranges::KeyRanges;
pub(crate) use operation::{PackedMask, chunk_attention, packed_attention, window_attention};

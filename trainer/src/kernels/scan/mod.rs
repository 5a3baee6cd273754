//! The gates and scans of recurrent layers: from a projection to states, in one pass over it.
//!
//! ```text
//! operation.rs   the operations of `rnn` and `rat`, and their place in the graph of derivatives
//!   -> sizes.rs      the channels of a projection
//!   -> flex.rs       the loops of the CPU
//!   -> cube.rs       the kernels of GPUs
//! plain.rs       the slow twin, in tensor operations
//! ```

#[cfg(feature = "cube")]
mod cube;
mod flex;
mod operation;
#[cfg(test)]
mod plain;
mod sizes;

pub(crate) use operation::{Scanned, ScannedWithKeys, scan, scan_with_keys};

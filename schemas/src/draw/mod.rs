//! Which row is drawn when, computed from a number and never stored.
//!
//! The trainer and the Python package draw rows with these, and so give the same rows for the same seed.

mod mix_order;
mod mixture;
mod order;
mod permutation;
mod split_mix;

pub use mix_order::MixOrder;
pub use mixture::{Mixture, MixtureError};
pub use order::{Draw, RowOrder};
pub use permutation::Permutation;
pub use split_mix::{SplitMix64, finalize, mix};

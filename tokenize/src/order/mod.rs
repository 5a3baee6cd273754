//! The random orders that the reference's libraries make, reproduced to the last place.

mod numpy;
mod python;

pub use numpy::permutation;
pub use python::sample;

//! The slow twins of the layers: the definitions in f64, one scalar at a time.

mod decoder;
mod layers;
mod tape;

pub use decoder::{BlockWeights, Decoder};
pub use layers::{FfnWeights, Layer, MixerWeights, Sequence};
pub use tape::{Gradient, Tape, Var};

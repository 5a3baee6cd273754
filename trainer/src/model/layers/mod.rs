//! The layers of a block, each with its norm and its residual, and their initial weights.

mod block;
mod feed_forward;
mod initializer;
mod linear;
mod rms_norm;
mod sequence_layer;

pub use block::Block;
pub use feed_forward::FeedForward;
pub use rms_norm::rms_norm;
pub use sequence_layer::SequenceLayer;

pub(super) use initializer::Initializer;
pub(super) use linear::linear;

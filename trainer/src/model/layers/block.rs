//! A block: a sequence layer, then a feed-forward layer.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::feed_forward::FeedForward;
use super::initializer::Initializer;
use super::sequence_layer::SequenceLayer;
use crate::model::config::ModelConfig;
use crate::model::positions::Geometry;
use crate::model::precision::to_dtype;

/// A sequence layer and a feed-forward layer.
#[derive(Module, Debug)]
pub struct Block {
    /// The layer that mixes along the sequence.
    pub seq: SequenceLayer,
    /// The layer that mixes the channels.
    pub ffn: FeedForward,
}

impl Block {
    pub(crate) fn init(config: &ModelConfig, layer: usize, draw: &Initializer<'_>) -> Self {
        let name = format!("layers.{layer}");
        Self {
            seq: SequenceLayer::init(config, config.mixer(layer), &format!("{name}.seq"), draw),
            ffn: FeedForward::init(config, &format!("{name}.ffn"), draw),
        }
    }

    /// Casts the matrices. The result is a start of its own for a backward pass, whose gradients have the
    /// same type.
    pub(crate) fn with_matrices_in(mut self, dtype: DType) -> Self {
        let cast = |param: Param<Tensor<2>>| {
            param.map(|matrix| to_dtype(matrix.inner(), dtype).autodiff().require_grad())
        };
        self.seq.in_proj = cast(self.seq.in_proj);
        self.seq.out_proj = cast(self.seq.out_proj);
        self.ffn.fc1 = cast(self.ffn.fc1);
        self.ffn.fc2 = cast(self.ffn.fc2);
        self
    }

    /// Applies both layers.
    ///
    /// # Shapes
    /// Input and output: [batch, seq, `d_model`].
    pub(crate) fn forward(&self, x: Tensor<3>, geometry: &Geometry) -> Tensor<3> {
        self.ffn.forward(self.seq.forward(x, geometry))
    }
}

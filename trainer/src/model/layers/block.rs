//! A block: a sequence layer, then a feed-forward layer.

use burn::module::Module;
use burn::tensor::Tensor;

use super::feed_forward::FeedForward;
use super::initializer::Initializer;
use super::sequence_layer::SequenceLayer;
use crate::model::config::ModelConfig;
use crate::model::positions::Geometry;

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

    /// Applies both layers.
    ///
    /// # Shapes
    /// Input and output: [batch, seq, `d_model`].
    pub(crate) fn forward(&self, x: Tensor<3>, geometry: &Geometry) -> Tensor<3> {
        self.ffn.forward(self.seq.forward(x, geometry))
    }
}

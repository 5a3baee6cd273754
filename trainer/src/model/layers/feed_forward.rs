//! The feed-forward layer: norm, up, exact GELU, down, residual.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::initializer::Initializer;
use super::linear::linear;
use super::rms_norm::rms_norm;
use crate::kernels::gelu::gelu;
use crate::model::config::ModelConfig;

/// The feed-forward layer of a block.
///
/// # Shapes
/// `ln`: \[`d_model`\], `fc1`: [`ffn_mult` · `d_model`, `d_model`], `fc2`: [`d_model`,
/// `ffn_mult` · `d_model`].
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Gain of the norm before the layer.
    pub ln: Param<Tensor<1>>,
    /// Weights of the projection up, [out, in].
    pub fc1: Param<Tensor<2>>,
    /// Weights of the projection down, [out, in].
    pub fc2: Param<Tensor<2>>,
    /// What the norm adds to the mean square.
    #[module(skip)]
    pub eps: f64,
}

impl FeedForward {
    pub(super) fn init(config: &ModelConfig, name: &str, draw: &Initializer<'_>) -> Self {
        let width = config.d_model.get();
        let inner = width * config.ffn_mult.get();
        Self {
            ln: draw.ones(&format!("{name}.ln"), width),
            fc1: draw.normal(&format!("{name}.fc1"), [inner, width]),
            fc2: draw.normal(&format!("{name}.fc2"), [width, inner]),
            eps: config.norm_eps,
        }
    }

    /// Applies the layer and adds its input.
    ///
    /// # Shapes
    /// Input and output: [batch, seq, `d_model`].
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = rms_norm(x.clone(), self.ln.val(), self.eps);
        x + linear(gelu(linear(normed, self.fc1.val())), self.fc2.val())
    }
}

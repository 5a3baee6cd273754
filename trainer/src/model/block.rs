//! A block: a sequence layer and a feed-forward layer, each with its norm and its residual.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::config::{MixerKind, ModelConfig};
use super::context::Geometry;
use super::ffn::FeedForward;
use super::init::Initializer;
use super::linear::linear;
use super::rms_norm::rms_norm;
use super::{attention, rat, rnn};

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

/// A sequence layer of any kind: norm, one projection in, the mixer, one projection out, residual.
///
/// # Shapes
/// `input_norm`: \[`d_model`\], `in_proj`: [width, `d_model`] with the width that
/// [`ModelConfig::in_proj_width`] gives, `out_proj`: [`d_model`, `d_model`],
/// `gate_bias`: \[`d_model`\].
#[derive(Module, Debug)]
pub struct SequenceLayer {
    /// Gain of the norm before the layer.
    pub input_norm: Param<Tensor<1>>,
    /// Weights of the projections in, [out, in].
    pub in_proj: Param<Tensor<2>>,
    /// Weights of the projection out, [out, in].
    pub out_proj: Param<Tensor<2>>,
    /// What is added to the gate before the sigmoid; `rnn` and `rat` have it.
    pub gate_bias: Option<Param<Tensor<1>>>,
    /// The kind of layer and its numbers.
    #[module(skip)]
    pub shape: MixerShape,
}

/// The numbers a mixer needs besides its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixerShape {
    /// Which mixer it is.
    pub kind: MixerKind,
    /// Number of heads.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Tokens in a chunk of `rat`.
    pub chunk_len: usize,
    /// Groups of queries and keys of `rat`.
    pub kv_groups: usize,
    /// Earlier tokens that a query of `local_attention` sees.
    pub window: usize,
    /// What the norm adds to the mean square.
    pub eps: f64,
}

impl SequenceLayer {
    pub(crate) fn init(
        config: &ModelConfig,
        kind: MixerKind,
        name: &str,
        draw: &Initializer<'_>,
    ) -> Self {
        let width = config.d_model.get();
        let span = match kind {
            MixerKind::Rat => config.chunk_len.get(),
            _ => config.seq_len.get(),
        };
        Self {
            input_norm: draw.ones(&format!("{name}.input_norm"), width),
            in_proj: draw.normal(&format!("{name}.in_proj"), [config.in_proj_width(kind), width]),
            out_proj: draw.normal(&format!("{name}.out_proj"), [width, width]),
            gate_bias: kind
                .is_gated()
                .then(|| draw.gate_bias(&format!("{name}.gate_bias"), width, span)),
            shape: MixerShape {
                kind,
                heads: config.heads(),
                head_dim: config.head_dim.get(),
                chunk_len: config.chunk_len.get(),
                kv_groups: config.kv_groups.get(),
                window: config.window.get(),
                eps: config.norm_eps,
            },
        }
    }

    /// Applies the layer and adds its input.
    ///
    /// # Shapes
    /// Input and output: [batch, seq, `d_model`].
    pub fn forward(&self, x: Tensor<3>, geometry: &Geometry) -> Tensor<3> {
        let normed = rms_norm(x.clone(), self.input_norm.val(), self.shape.eps);
        let projected = &linear(normed, self.in_proj.val());
        let bias = self.gate_bias.as_ref().map(Param::val);
        let mixed = match (self.shape.kind, bias) {
            (MixerKind::Rnn, Some(bias)) => rnn::mix(projected, bias, geometry),
            (MixerKind::Rat, Some(bias)) => rat::mix(projected, bias, &self.shape, geometry),
            (MixerKind::LocalAttention, _) => {
                attention::mix(projected, &self.shape, Some(self.shape.window), geometry)
            }
            (MixerKind::Attention | MixerKind::Rnn | MixerKind::Rat, _) => {
                attention::mix(projected, &self.shape, None, geometry)
            }
        };
        x + linear(mixed, self.out_proj.val())
    }
}

//! A sequence layer of any kind: norm, one projection in, the mixer, one projection out, residual.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::initializer::Initializer;
use super::linear::linear;
use super::rms_norm::rms_norm;
use crate::model::caches::{Kept, LayerCache};
use crate::model::config::{MixerKind, MixerShape, ModelConfig};
use crate::model::mixers;
use crate::model::positions::{Geometry, StepGeometry};

/// A layer that mixes along the sequence.
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

impl SequenceLayer {
    pub(super) fn init(
        config: &ModelConfig,
        kind: MixerKind,
        name: &str,
        draw: &Initializer<'_>,
    ) -> Self {
        let width = config.d_model.get();
        let memory = match kind {
            MixerKind::Rat => config.chunk_len.get(),
            _ => config.seq_len.get(),
        };
        Self {
            input_norm: draw.ones(&format!("{name}.input_norm"), width),
            in_proj: draw.normal(&format!("{name}.in_proj"), [config.in_proj_width(kind), width]),
            out_proj: draw.normal(&format!("{name}.out_proj"), [width, width]),
            gate_bias: kind
                .is_gated()
                .then(|| draw.gate_bias(&format!("{name}.gate_bias"), width, memory)),
            shape: config.mixer_shape(kind),
        }
    }

    /// Applies the layer and adds its input.
    ///
    /// # Shapes
    /// Input and output: [batch, seq, `d_model`].
    pub fn forward(&self, x: Tensor<3>, geometry: &Geometry) -> Tensor<3> {
        // A backward pass reads the states in the type of the layers.
        let dtype = x.dtype();
        self.mixed(x, geometry, dtype).0
    }

    /// Applies the layer as [`forward`](Self::forward) does, and returns what a cache may need, with states in f32.
    pub(in crate::model) fn forward_keeping(
        &self,
        x: Tensor<3>,
        geometry: &Geometry,
    ) -> (Tensor<3>, Kept) {
        self.mixed(x, geometry, DType::F32)
    }

    fn mixed(&self, x: Tensor<3>, geometry: &Geometry, states: DType) -> (Tensor<3>, Kept) {
        let (projected, gate_bias) = self.projected(x.clone());
        let (mixed, kept) = mixers::mix(&projected, gate_bias, &self.shape, geometry, states);
        (x + linear(mixed, self.out_proj.val()), kept)
    }

    /// Applies the layer to one new token in each slot.
    ///
    /// # Shapes
    /// Input and output: [slots, 1, `d_model`].
    pub(in crate::model) fn step(
        &self,
        x: Tensor<3>,
        cache: &mut LayerCache,
        geometry: &StepGeometry,
    ) -> Tensor<3> {
        let (projected, gate_bias) = self.projected(x.clone());
        let mixed = mixers::step(&projected, gate_bias, &self.shape, cache, geometry);
        x + linear(mixed, self.out_proj.val())
    }

    fn projected(&self, x: Tensor<3>) -> (Tensor<3>, Option<Tensor<1>>) {
        let normed = rms_norm(x, self.input_norm.val(), self.shape.eps);
        (linear(normed, self.in_proj.val()), self.gate_bias.as_ref().map(Param::val))
    }
}

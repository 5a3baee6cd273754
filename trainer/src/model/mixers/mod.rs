//! What a sequence layer does between its two projections: attention, RNN or RAT.

mod attention;
mod heads;
mod rat;
mod recurrence;
mod rnn;

use burn::tensor::Tensor;

use super::config::{MixerKind, MixerShape};
use super::positions::Geometry;

/// Mixes along the sequence. `gate_bias` is that of the gated mixers, `rnn` and `rat`.
///
/// # Shapes
/// `projected`: [batch, seq, width], with the width that a layer of this kind projects to;
/// `gate_bias`: [`d_model`]; output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    gate_bias: Option<Tensor<1>>,
    shape: &MixerShape,
    geometry: &Geometry,
) -> Tensor<3> {
    match (shape.kind, gate_bias) {
        (MixerKind::Rnn, Some(bias)) => rnn::mix(projected, bias, geometry),
        (MixerKind::Rat, Some(bias)) => rat::mix(projected, bias, shape, geometry),
        (MixerKind::LocalAttention, _) => {
            attention::mix(projected, shape, Some(shape.window), geometry)
        }
        (MixerKind::Attention | MixerKind::Rnn | MixerKind::Rat, _) => {
            attention::mix(projected, shape, None, geometry)
        }
    }
}

//! RNN: a gated linear recurrence over a whole sequence.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::recurrence::{gate, recur};
use crate::model::positions::Geometry;

/// Mixes by a recurrence: `h_t = g_t h_{t-1} + (1 - g_t) v_t`, output `sigmoid(z) h`.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the output gates z, the values and the gates in this
/// order; `bias`: [`d_model`]; output: [batch, seq, `d_model`].
pub(super) fn mix(projected: &Tensor<3>, bias: Tensor<1>, geometry: &Geometry) -> Tensor<3> {
    let width = bias.dims()[0];
    let channels = |index: usize| projected.clone().narrow(2, index * width, width);
    let (z, v) = (channels(0), channels(1));
    let gate = gate(channels(2), bias);
    sigmoid(z) * recur(gate, v, geometry.document_carry.as_ref())
}

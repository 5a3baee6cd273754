//! RNN: a gated linear recurrence over a whole sequence.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::recurrence::{advance, gate, recur};
use crate::model::caches::Kept;
use crate::model::positions::Geometry;
use crate::model::precision::to_dtype;

/// Mixes by a recurrence: `h_t = g_t h_{t-1} + (1 - g_t) v_t`, output `sigmoid(z) h`.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the output gates z, the values and the gates in this
/// order; `bias`: [`d_model`]; output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    bias: Tensor<1>,
    geometry: &Geometry,
) -> (Tensor<3>, Kept) {
    let [z, v, g] = parts(projected);
    let states = recur(gate(g, bias), v, geometry.document_carry.as_ref());
    let mixed = sigmoid(z.clone()) * to_dtype(states.clone(), z.dtype());
    (mixed, Kept::States(states))
}

/// Mixes one new token in each slot with the state of the slot.
///
/// # Shapes
/// `projected`: [slots, 1, 3 · `d_model`], `state` and output: [slots, 1, `d_model`].
pub(super) fn step(projected: &Tensor<3>, bias: Tensor<1>, state: &mut Tensor<3>) -> Tensor<3> {
    let [z, v, g] = parts(projected);
    *state = advance(state.clone(), gate(g, bias), v);
    sigmoid(z.clone()) * to_dtype(state.clone(), z.dtype())
}

fn parts(projected: &Tensor<3>) -> [Tensor<3>; 3] {
    let width = projected.dims()[2] / 3;
    [0, 1, 2].map(|index| projected.clone().narrow(2, index * width, width))
}

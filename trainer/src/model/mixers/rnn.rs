//! RNN: a gated linear recurrence over a whole sequence.

use burn::tensor::{DType, Tensor};

use super::recurrence::{advance, gate};
use crate::kernels::output_gate::output_gate;
use crate::kernels::scan::{Scanned, scan};
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
    states: DType,
) -> (Tensor<3>, Kept) {
    let carry = geometry.document_carry.clone();
    let carry = carry.unwrap_or_else(|| unreachable!("the geometry of an RNN has a carry"));
    let Scanned { z, values } = scan(projected.clone(), bias, carry, states);
    let mixed = output_gate(z.clone(), to_dtype(values.clone(), z.dtype()));
    (mixed, Kept::States(values))
}

/// Mixes one new token in each slot with the state of the slot.
///
/// # Shapes
/// `projected`: [slots, 1, 3 · `d_model`], `state` and output: [slots, 1, `d_model`].
pub(super) fn step(projected: &Tensor<3>, bias: Tensor<1>, state: &mut Tensor<3>) -> Tensor<3> {
    let [z, v, g] = parts(projected);
    *state = advance(state.clone(), gate(g, bias), v);
    output_gate(z.clone(), to_dtype(state.clone(), z.dtype()))
}

fn parts(projected: &Tensor<3>) -> [Tensor<3>; 3] {
    let width = projected.dims()[2] / 3;
    [0, 1, 2].map(|index| projected.clone().narrow(2, index * width, width))
}

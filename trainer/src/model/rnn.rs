//! The gated linear recurrence over a whole sequence.

use burn::tensor::activation::sigmoid;
use burn::tensor::{FloatDType, Tensor};

use super::context::Geometry;
use super::rms_norm::to_dtype;
use crate::scan::gated_scan;

/// Mixes by a recurrence: `h_t = g_t h_{t-1} + (1 - g_t) v_t`, output `sigmoid(z) h`.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the output gates z, the values and the gates in this
/// order; `bias`: [`d_model`]; output: [batch, seq, `d_model`].
pub(crate) fn mix(projected: &Tensor<3>, bias: Tensor<1>, geometry: &Geometry) -> Tensor<3> {
    let width = bias.dims()[0];
    let part = |index: usize| projected.clone().narrow(2, index * width, width);
    let (z, v) = (part(0), part(1));
    let gate = gate(part(2), bias);
    sigmoid(z) * recur(gate, v, geometry.keep.as_ref())
}

/// Computes the gate in f32: `sigmoid(g + bias)`.
pub(crate) fn gate(g: Tensor<3>, bias: Tensor<1>) -> Tensor<3> {
    sigmoid(g.cast(FloatDType::F32) + bias.unsqueeze())
}

/// Runs the recurrence along dimension 1 in f32, from zero wherever `keep` is 0.
///
/// A restart is a scan without a carry: with gate 0 and value `(1 - g) v` the state is what the
/// recurrence gives from a state of zero.
///
/// # Shapes
/// `gate`, `v` and the output: [rows, seq, width]; `keep`: [rows, seq, 1].
pub(crate) fn recur(gate: Tensor<3>, v: Tensor<3>, keep: Option<&Tensor<3>>) -> Tensor<3> {
    let dtype = v.dtype();
    let v = v.cast(FloatDType::F32);
    let states = match keep {
        None => gated_scan(gate, v),
        Some(keep) => {
            let restart = keep.clone().neg() + 1.0;
            let scaled = (gate.clone() * restart).neg() + 1.0;
            gated_scan(gate * keep.clone(), v * scaled)
        }
    };
    to_dtype(states, dtype)
}

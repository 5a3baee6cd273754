//! The gated linear recurrence that `rnn` and `rat` share.

use burn::tensor::activation::sigmoid;
use burn::tensor::{FloatDType, Tensor};

use crate::kernels::scan::gated_scan;

/// Computes the gate in f32: `sigmoid(g + bias)`.
pub(super) fn gate(g: Tensor<3>, bias: Tensor<1>) -> Tensor<3> {
    sigmoid(g.cast(FloatDType::F32) + bias.unsqueeze())
}

/// Runs the recurrence along dimension 1 in f32, from zero wherever `carry` is 0.
///
/// A restart is a scan without a carry: with gate 0 and value `(1 - g) v` the state is what the
/// recurrence gives from a state of zero.
///
/// # Shapes
/// `gate`, `v` and the output: [rows, seq, width]; `carry`: [rows, seq, 1].
pub(super) fn recur(gate: Tensor<3>, v: Tensor<3>, carry: Option<&Tensor<3>>) -> Tensor<3> {
    let v = v.cast(FloatDType::F32);
    match carry {
        None => gated_scan(gate, v),
        Some(carry) => {
            let restart = carry.clone().neg() + 1.0;
            let scaled = (gate.clone() * restart).neg() + 1.0;
            gated_scan(gate * carry.clone(), v * scaled)
        }
    }
}

/// Runs one step of the recurrence in f32.
///
/// # Shapes
/// All: [rows, 1, width].
pub(super) fn advance(state: Tensor<3>, gate: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
    let new = (gate.clone().neg() + 1.0) * v.cast(FloatDType::F32);
    gate * state + new
}

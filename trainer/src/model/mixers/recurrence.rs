//! The gated linear recurrence that `rnn` and `rat` share, for one new token.

use burn::tensor::activation::sigmoid;
use burn::tensor::{FloatDType, Tensor};

/// Computes the gate in f32: `sigmoid(g + bias)`.
pub(super) fn gate(g: Tensor<3>, bias: Tensor<1>) -> Tensor<3> {
    sigmoid(g.cast(FloatDType::F32) + bias.unsqueeze())
}

/// Runs one step of the recurrence in f32.
///
/// # Shapes
/// All: [rows, 1, width].
pub(super) fn advance(state: Tensor<3>, gate: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
    let new = (gate.clone().neg() + 1.0) * v.cast(FloatDType::F32);
    gate * state + new
}

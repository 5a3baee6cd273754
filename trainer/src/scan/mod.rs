//! The gated scan: the recurrence that `rnn` runs over a sequence and `rat` within a chunk.

use burn::tensor::Tensor;

/// Runs `y_t = g_t y_{t-1} + (1 - g_t) x_t` along dimension 1, from a state of zero.
///
/// # Shapes
/// `gate`, `x` and the output: [rows, seq, width].
pub fn gated_scan(gate: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let [rows, seq, width] = x.dims();
    let mut state = Tensor::zeros([rows, 1, width], &x.device());
    let inputs = (gate.clone().neg() + 1.0) * x;
    let mut states = Vec::with_capacity(seq);
    for t in 0..seq {
        state = gate.clone().narrow(1, t, 1) * state + inputs.clone().narrow(1, t, 1);
        states.push(state.clone());
    }
    Tensor::cat(states, 1)
}

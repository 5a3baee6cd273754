//! The scan in tensor operations, one time step after another: the slow twin of the kernels.

use burn::tensor::Tensor;

/// Runs the recurrence of [`gated_scan`](super::gated_scan) one time step after another.
///
/// # Shapes
/// `gate`, `x` and the output: [rows, seq, width].
pub fn plain_scan(gate: &Tensor<3>, x: &Tensor<3>) -> Tensor<3> {
    let [rows, seq, width] = x.dims();
    let mut state = Tensor::zeros([rows, 1, width], &x.device());
    let inputs = (gate.clone().neg() + 1.0) * x.clone();
    let mut states = Vec::with_capacity(seq);
    for t in 0..seq {
        state = gate.clone().narrow(1, t, 1) * state + inputs.clone().narrow(1, t, 1);
        states.push(state.clone());
    }
    Tensor::cat(states, 1)
}

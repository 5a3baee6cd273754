//! Root-mean-square normalization.

use burn::tensor::Tensor;

use crate::kernels::rms_norm::rms_norm as of_rows;

/// Divides each vector by its root mean square and scales it by `gain`.
///
/// The mean is computed in f32 for inputs of every type; the output has the type of the input.
///
/// # Shapes
/// `x`: [batch, seq, width], `gain`: `[width]`, output: [batch, seq, width].
pub fn rms_norm(x: Tensor<3>, gain: Tensor<1>, eps: f64) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    of_rows(x.reshape([batch * seq, width]), gain, eps).reshape([batch, seq, width])
}

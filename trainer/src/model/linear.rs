//! The matrix product of a layer without bias.

use burn::tensor::Tensor;

use super::rms_norm::to_dtype;

/// Multiplies each vector by the weights, in the vectors' type.
///
/// # Shapes
/// `x`: [batch, seq, in], `weight`: [out, in], output: [batch, seq, out].
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let out = weight.dims()[0];
    let weight = to_dtype(weight, x.dtype());
    x.reshape([batch * seq, width]).matmul(weight.transpose()).reshape([batch, seq, out])
}

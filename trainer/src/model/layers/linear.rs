//! A linear projection without bias.

use burn::tensor::Tensor;

use crate::kernels::projection::project;
use crate::kernels::row_product::row_product;
use crate::model::precision::to_dtype;

/// Multiplies each vector by the weights, in the type of the vectors.
///
/// # Shapes
/// `x`: [batch, seq, in], `weight`: [out, in], output: [batch, seq, out].
pub(in crate::model) fn linear(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let out = weight.dims()[0];
    let weight = to_dtype(weight, x.dtype());
    let rows = x.reshape([batch * seq, width]);
    // One token of each sequence: the same bits for any number of sequences.
    let product = if seq == 1 { row_product(rows, weight) } else { project(rows, weight) };
    product.reshape([batch, seq, out])
}

//! Root-mean-square normalization.

use burn::tensor::{FloatDType, Tensor};

use crate::model::precision::to_dtype;

/// Divides each vector by its root mean square and scales it by `gain`.
///
/// The mean is computed in f32 for inputs of every type; the output has the type of the input.
///
/// # Shapes
/// `x`: [batch, seq, width], `gain`: `[width]`, output: [batch, seq, width].
pub fn rms_norm(x: Tensor<3>, gain: Tensor<1>, eps: f64) -> Tensor<3> {
    let dtype = x.dtype();
    let x = x.cast(FloatDType::F32);
    let mean_square = x.clone().square().mean_dim(2);
    let normed = x * (mean_square + eps).sqrt().recip() * gain.unsqueeze();
    to_dtype(normed, dtype)
}

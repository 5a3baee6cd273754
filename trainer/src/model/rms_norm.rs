//! Root-mean-square normalization.

use burn::tensor::{DType, FloatDType, Tensor};

/// Divides each vector by its root mean square and scales it by `gain`.
///
/// The mean is taken in f32 whatever the input's type; the output has the input's type.
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

/// Casts to a float type, where the tensor does not have it already.
pub(crate) fn to_dtype<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    x.cast(FloatDType::from(dtype))
}

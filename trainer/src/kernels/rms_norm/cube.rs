//! The norm on a GPU.

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::rms_norm;

use super::RmsNormKernels;
use crate::convert::rounded;
use crate::kernels::cube::{empty, like, operand};
use crate::kernels::slices::cast;

impl RmsNormKernels for Cube {
    fn norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let [x, gain] = [x, cast::<Self>(gain, DType::F32)].map(into_contiguous);
        let (y, client) = (like(&x), x.client.clone());
        rms_norm::forward(&client, operand(x), operand(gain), rounded(eps), operand(y.clone()));
        y
    }

    fn norm_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f64,
    ) -> [FloatTensor<Self>; 2] {
        let dtype = gain.dtype;
        let [x, gain, grad] = [x, cast::<Self>(gain, DType::F32), grad].map(into_contiguous);
        let [rows, width] = x.meta.shape().dims();
        let parts = rows.div_ceil(rms_norm::ROWS_OF_A_PART);
        let (by_x, client) = (like(&x), x.client.clone());
        let roots = empty(&x, Shape::from([rows]), DType::F32);
        let by_gain = empty(&x, Shape::from([parts, width]), DType::F32);
        let saved = rms_norm::Saved { x: operand(x), gain: operand(gain), grad: operand(grad) };
        let slopes = rms_norm::Slopes {
            by_x: operand(by_x.clone()),
            roots: operand(roots),
            by_gain: operand(by_gain.clone()),
        };
        rms_norm::backward(&client, saved, rounded(eps), slopes);
        let by_gain = Self::float_reshape(Self::float_sum_dim(by_gain, 0), Shape::from([width]));
        [by_x, cast::<Self>(by_gain, dtype)]
    }
}

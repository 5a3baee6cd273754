//! The rotation on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::rotation;

use super::RotationKernels;
use crate::kernels::cube::{like, operand};
use crate::kernels::slices::cast;

impl RotationKernels for Cube {
    fn turn(x: FloatTensor<Self>, angles: [FloatTensor<Self>; 2], back: bool) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let [cos, sin] =
            angles.map(|angles| operand(into_contiguous(cast::<Self>(angles, DType::F32))));
        let (y, client) = (like(&x), x.client.clone());
        let angles = rotation::Angles { cos, sin };
        rotation::turn(&client, operand(x), angles, back, operand(y.clone()));
        y
    }
}

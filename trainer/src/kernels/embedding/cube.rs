//! The embedding's backward pass on a GPU.

use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{FloatDType, Shape};
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::embedding;

use super::EmbeddingKernels;
use crate::kernels::cube::operand;

impl EmbeddingKernels for Cube {
    fn by_embedding(
        ids: IntTensor<Self>,
        grad: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let [ids, grad] = [ids, grad].map(into_contiguous);
        let [_, width] = grad.meta.shape().dims();
        let client = grad.client.clone();
        let sums = Self::float_zeros(Shape::from([rows, width]), &grad.device, FloatDType::F32);
        embedding::backward(&client, operand(ids), operand(grad), operand(sums.clone()));
        sums
    }
}

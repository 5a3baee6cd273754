//! The GELU on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::gelu;

use super::{GeluBackend, GeluKernels};
use crate::kernels::cube::{like, operand};

impl GeluBackend for Cube {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::exact_forward(x)
    }
}

impl GeluKernels for Cube {
    fn exact_forward(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let (y, client) = (like(&x), x.client.clone());
        gelu::forward(&client, operand(x), operand(y.clone()));
        y
    }

    fn exact_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let [x, grad] = [x, grad].map(into_contiguous);
        let (by_x, client) = (like(&x), x.client.clone());
        gelu::backward(&client, operand(x), operand(grad), operand(by_x.clone()));
        by_x
    }
}

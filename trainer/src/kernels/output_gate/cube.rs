//! The output gate on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::output_gate;

use super::OutputGateKernels;
use crate::kernels::cube::{like, operand, vectors};

impl OutputGateKernels for Cube {
    fn gated(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let (y, client) = (like(&x), x.client.clone());
        output_gate::forward(&client, vectors(z), operand(x), operand(y.clone()));
        y
    }

    fn gated_backward(
        z: FloatTensor<Self>,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let [x, grad] = [x, grad].map(into_contiguous);
        let (by_z, by_x, client) = (like(&x), like(&x), x.client.clone());
        let slopes =
            output_gate::Slopes { by_z: operand(by_z.clone()), by_x: operand(by_x.clone()) };
        output_gate::backward(&client, vectors(z), operand(x), operand(grad), slopes);
        [by_z, by_x]
    }
}

//! The scan on a GPU.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use ratdata_gpu::scan;

use super::{ScanBackend, ScanKernels};
use crate::kernels::cube::{like, operand};

impl ScanBackend for Cube {
    fn gated_scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::scan(gate, x)
    }
}

impl ScanKernels for Cube {
    fn scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let [gate, x] = [gate, x].map(into_contiguous);
        let (states, client) = (like(&x), x.client.clone());
        scan::forward(&client, operand(gate), operand(x), operand(states.clone()));
        states
    }

    fn scan_backward(
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        states: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [gate, x, states, grad] = [gate, x, states, grad].map(into_contiguous);
        let (by_gate, by_x, client) = (like(&x), like(&x), x.client.clone());
        let [gate, x, states, grad] = [gate, x, states, grad].map(operand);
        let saved = scan::Saved { gate, x, states, grad };
        scan::backward(&client, saved, operand(by_gate.clone()), operand(by_x.clone()));
        (by_gate, by_x)
    }
}

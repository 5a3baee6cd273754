//! The scan on a GPU: one thread for each row and channel, looping over time.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{ScanBackend, ScanKernels};
use crate::kernels::cube::{Launch, like};

/// Neighbouring threads take neighbouring channels, so that their reads are contiguous.
#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel(gate: &Tensor<f32>, x: &Tensor<f32>, states: &mut Tensor<f32>) {
    let seq = x.shape(1);
    let width = x.shape(2);
    let rows = x.shape(0);
    if ABSOLUTE_POS >= rows * width {
        terminate!();
    }
    let row = ABSOLUTE_POS / width;
    let mut at = row * seq * width + ABSOLUTE_POS % width;
    let mut state = f32::new(0.0_f32);
    for _ in 0..seq {
        let g = gate[at];
        state = g * state + (f32::new(1.0_f32) - g) * x[at];
        states[at] = state;
        at += width;
    }
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel(
    gate: &Tensor<f32>,
    x: &Tensor<f32>,
    states: &Tensor<f32>,
    grad: &Tensor<f32>,
    by_gate: &mut Tensor<f32>,
    by_x: &mut Tensor<f32>,
) {
    let seq = x.shape(1);
    let width = x.shape(2);
    let rows = x.shape(0);
    if ABSOLUTE_POS >= rows * width {
        terminate!();
    }
    let first = (ABSOLUTE_POS / width) * seq * width + ABSOLUTE_POS % width;
    let mut carry = f32::new(0.0_f32);
    for back in 1..seq {
        let at = first + (seq - back) * width;
        let g = gate[at];
        let slope = grad[at] + carry;
        by_x[at] = slope * (f32::new(1.0_f32) - g);
        by_gate[at] = slope * (states[at - width] - x[at]);
        carry = slope * g;
    }
    let slope = grad[first] + carry;
    by_x[first] = slope * (f32::new(1.0_f32) - gate[first]);
    by_gate[first] = f32::new(0.0_f32) - slope * x[first];
}

impl ScanBackend for Cube {
    fn gated_scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::scan(gate, x)
    }
}

impl ScanKernels for Cube {
    fn scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gate, x) = (into_contiguous(gate), into_contiguous(x));
        let states = like(&x);
        let Launch { client, count, dim, addresses } = Launch::new(&x, threads(&x));
        #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
        // SAFETY: all tensors are contiguous and have the same shape, and a thread past the last row
        // ends at once.
        unsafe {
            forward_kernel::launch_unchecked(
                &client,
                count,
                dim,
                addresses,
                gate.into_tensor_arg(),
                x.into_tensor_arg(),
                states.clone().into_tensor_arg(),
            );
        }
        states
    }

    fn scan_backward(
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        states: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [gate, x, states, grad] = [gate, x, states, grad].map(into_contiguous);
        let (by_gate, by_x) = (like(&x), like(&x));
        let Launch { client, count, dim, addresses } = Launch::new(&x, threads(&x));
        #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
        // SAFETY: all tensors are contiguous and have the same shape, and a thread past the last row
        // ends at once.
        unsafe {
            backward_kernel::launch_unchecked(
                &client,
                count,
                dim,
                addresses,
                gate.into_tensor_arg(),
                x.into_tensor_arg(),
                states.into_tensor_arg(),
                grad.into_tensor_arg(),
                by_gate.clone().into_tensor_arg(),
                by_x.clone().into_tensor_arg(),
            );
        }
        (by_gate, by_x)
    }
}

fn threads(tensor: &CubeTensor) -> usize {
    tensor.meta.shape()[0] * tensor.meta.shape()[2]
}

//! The scan on the CPU: one loop over time for each row; threads share the rows.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::{ScanBackend, ScanKernels};
use crate::kernels::flex_tensors::floats;

impl ScanBackend for Flex {
    fn gated_scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::scan(gate, x)
    }
}

impl ScanKernels for Flex {
    fn scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = [x.layout().shape()[0], x.layout().shape()[1], x.layout().shape()[2]];
        let [_, seq, width] = shape;
        let (gate, x) = (gate.to_contiguous(), x.to_contiguous());
        let (g, x) = (floats(&gate), floats(&x));
        let mut states = vec![0.0; x.len()];
        if !states.is_empty() {
            let row = seq * width;
            states.par_chunks_mut(row).zip(g.par_chunks(row)).zip(x.par_chunks(row)).for_each(
                |((states, g), x)| {
                    for t in 0..seq {
                        let now = t * width..(t + 1) * width;
                        let (before, after) = states.split_at_mut(now.start);
                        let state = &mut after[..width];
                        let (g, x) = (&g[now.clone()], &x[now]);
                        if t == 0 {
                            for ((y, g), x) in state.iter_mut().zip(g).zip(x) {
                                *y = (1.0 - g) * x;
                            }
                        } else {
                            let last = &before[(t - 1) * width..];
                            for (((y, last), g), x) in state.iter_mut().zip(last).zip(g).zip(x) {
                                *y = g * last + (1.0 - g) * x;
                            }
                        }
                    }
                },
            );
        }
        tensor(states, shape)
    }

    fn scan_backward(
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        states: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shape = [x.layout().shape()[0], x.layout().shape()[1], x.layout().shape()[2]];
        let [_, seq, width] = shape;
        let inputs = [gate, x, states, grad].map(|tensor| tensor.to_contiguous());
        let [g, x, y, dy] = [0, 1, 2, 3].map(|index| floats(&inputs[index]));
        let (mut by_gate, mut by_x) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        if !by_x.is_empty() {
            let row = seq * width;
            by_gate.par_chunks_mut(row).zip(by_x.par_chunks_mut(row)).enumerate().for_each(
                |(index, (by_gate, by_x))| {
                    let start = index * row;
                    let mut carry = vec![0.0; width];
                    for t in (0..seq).rev() {
                        for (channel, carry) in carry.iter_mut().enumerate() {
                            let here = t * width + channel;
                            let at = start + here;
                            let slope = dy[at] + *carry;
                            let last = if t == 0 { 0.0 } else { y[at - width] };
                            by_x[here] = slope * (1.0 - g[at]);
                            by_gate[here] = slope * (last - x[at]);
                            *carry = slope * g[at];
                        }
                    }
                },
            );
        }
        (tensor(by_gate, shape), tensor(by_x, shape))
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> FloatTensor<Flex> {
    let device = burn::backend::FlexDevice;
    Flex::float_from_data(TensorData::new(values, shape), &device)
}

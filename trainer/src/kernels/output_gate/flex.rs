//! The output gate on the CPU: one pass over the values.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::OutputGateKernels;
use crate::kernels::flex_tensors::{floats, tensor};
use crate::kernels::slices::cast;
use crate::kernels::vector_level::{Vectorized, sigmoid, vectorized};

/// How many values a thread takes at a time.
const VALUES: usize = 1 << 14;

impl OutputGateKernels for Flex {
    fn gated(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let dtype = x.dtype();
        let [z, x] = [z, x].map(in_f32);
        let mut y = vec![0.0; x.layout().num_elements()];
        let inputs = floats(&z).par_chunks(VALUES).zip(floats(&x).par_chunks(VALUES));
        y.par_chunks_mut(VALUES).zip(inputs).for_each(|(y, (z, x))| {
            vectorized(Forward { z, x, y });
        });
        cast::<Self>(tensor(y, x.layout().shape()), dtype)
    }

    fn gated_backward(
        z: FloatTensor<Self>,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let dtype = x.dtype();
        let [z, x, grad] = [z, x, grad].map(in_f32);
        let count = x.layout().num_elements();
        let (mut by_z, mut by_x) = (vec![0.0; count], vec![0.0; count]);
        let inputs = floats(&z).par_chunks(VALUES).zip(floats(&x).par_chunks(VALUES));
        let inputs = inputs.zip(floats(&grad).par_chunks(VALUES));
        let outputs = by_z.par_chunks_mut(VALUES).zip(by_x.par_chunks_mut(VALUES));
        outputs.zip(inputs).for_each(|((by_z, by_x), ((z, x), grad))| {
            vectorized(Backward { z, x, grad, by_z, by_x });
        });
        let shape = x.layout().shape();
        [by_z, by_x].map(|slopes| cast::<Self>(tensor(slopes, shape), dtype))
    }
}

fn in_f32(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    cast::<Flex>(tensor, DType::F32).to_contiguous()
}

struct Forward<'a> {
    z: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Vectorized for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for ((y, z), x) in self.y.iter_mut().zip(self.z).zip(self.x) {
            *y = sigmoid(*z).0 * x;
        }
    }
}

struct Backward<'a> {
    z: &'a [f32],
    x: &'a [f32],
    grad: &'a [f32],
    by_z: &'a mut [f32],
    by_x: &'a mut [f32],
}

impl Vectorized for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let inputs = self.z.iter().zip(self.x).zip(self.grad);
        for ((by_z, by_x), ((z, x), grad)) in self.by_z.iter_mut().zip(self.by_x).zip(inputs) {
            let (gate, rest) = sigmoid(*z);
            *by_x = grad * gate;
            *by_z = *by_x * rest * x;
        }
    }
}

//! The rotation on the CPU: one pass, in place; threads share the heads.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{RotationKernels, plain_turn};
use crate::kernels::flex_tensors::{are_f32, changed, floats, owned};
use crate::kernels::vector_level::{Vectorized, vectorized};

impl RotationKernels for Flex {
    fn turn(
        x: FloatTensor<Self>,
        [cos, sin]: [FloatTensor<Self>; 2],
        back: bool,
    ) -> FloatTensor<Self> {
        let [batch, heads, seq, width] = [0, 1, 2, 3].map(|dim| x.layout().shape()[dim]);
        let rows = cos.layout().shape()[0];
        let is_even = width % 2 == 0 && (rows == 1 || rows == batch);
        if !are_f32([&x, &cos, &sin]) || !is_even || seq * width == 0 {
            return plain_turn::<Self>(&x, &[cos, sin], back);
        }
        let mut x = owned(x);
        let [cos, sin] = [cos, sin].map(|tensor| tensor.to_contiguous());
        let (cos, sin, angles) = (floats(&cos), floats(&sin), seq * width / 2);
        changed(&mut x).par_chunks_mut(seq * width).enumerate().for_each(|(number, x)| {
            let row = if rows == 1 { 0 } else { number / heads };
            let own = row * angles..(row + 1) * angles;
            vectorized(Head { x, cos: &cos[own.clone()], sin: &sin[own], width, back });
        });
        x
    }
}

/// The vectors of one head: [seq, width].
struct Head<'a> {
    x: &'a mut [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    width: usize,
    back: bool,
}

impl Vectorized for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { x, cos, sin, width, back } = self;
        let sign = if back { -1.0 } else { 1.0 };
        let half = width / 2;
        let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
        for (x, (cos, sin)) in x.chunks_exact_mut(width).zip(angles) {
            let (first, second) = x.split_at_mut(half);
            let pairs = first.iter_mut().zip(second);
            for ((first, second), (cos, sin)) in pairs.zip(cos.iter().zip(sin)) {
                let (a, b, sin) = (*first, *second, sin * sign);
                *first = a * cos - b * sin;
                *second = b * cos + a * sin;
            }
        }
    }
}

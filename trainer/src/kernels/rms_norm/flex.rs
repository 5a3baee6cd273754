//! The norm on the CPU: each row is read once forward and once backward; threads share the rows.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{RmsNormKernels, plain_norm, plain_norm_backward};
use crate::convert::rounded;
use crate::kernels::flex_tensors::{are_f32, floats, tensor};
use crate::kernels::vector_level::{Vectorized, dot, vectorized};

/// How many rows a thread takes at a time. The derivative by the gain is summed up in these parts, so that
/// it does not depend on the number of threads.
const ROWS: usize = 64;

impl RmsNormKernels for Flex {
    fn norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let width = x.layout().shape()[1];
        if !are_f32([&x, &gain]) || width == 0 {
            return plain_norm::<Self>(x, gain, eps);
        }
        let [x, gain] = [x, gain].map(|tensor| tensor.to_contiguous());
        let mut out = vec![0.0; x.layout().num_elements()];
        let parts = out.par_chunks_mut(ROWS * width).zip(floats(&x).par_chunks(ROWS * width));
        parts.for_each(|(out, x)| {
            vectorized(Forward { x, gain: floats(&gain), eps: rounded(eps), out });
        });
        tensor(out, x.layout().shape())
    }

    fn norm_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f64,
    ) -> [FloatTensor<Self>; 2] {
        let width = x.layout().shape()[1];
        if !are_f32([&x, &gain, &grad]) || width == 0 {
            return plain_norm_backward::<Self>(x, gain, grad, eps);
        }
        let [x, gain, grad] = [x, gain, grad].map(|tensor| tensor.to_contiguous());
        let mut by_x = vec![0.0; x.layout().num_elements()];
        let parts = by_x.par_chunks_mut(ROWS * width).zip(floats(&x).par_chunks(ROWS * width));
        let parts = parts.zip(floats(&grad).par_chunks(ROWS * width));
        let gains: Vec<Vec<f32>> = parts
            .map(|((by_x, x), grad)| {
                vectorized(Backward { x, gain: floats(&gain), grad, eps: rounded(eps), by_x })
            })
            .collect();
        let mut by_gain = vec![0.0; width];
        for part in gains {
            for (sum, more) in by_gain.iter_mut().zip(part) {
                *sum += more;
            }
        }
        [tensor(by_x, x.layout().shape()), tensor(by_gain, &[width])]
    }
}

/// Computes the inverse of the root mean square.
#[inline(always)]
fn inverse_root<const FUSED: bool>(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot::<FUSED>(x, x) / x.len() as f32 + eps).sqrt()
}

struct Forward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Vectorized for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { x, gain, eps, out } = self;
        let rows = out.chunks_exact_mut(gain.len()).zip(x.chunks_exact(gain.len()));
        for (out, x) in rows {
            let root = inverse_root::<FUSED>(x, eps);
            for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
                *out = x * root * gain;
            }
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    grad: &'a [f32],
    eps: f32,
    by_x: &'a mut [f32],
}

impl Vectorized for Backward<'_> {
    /// The derivative by the gain.
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> Vec<f32> {
        let Self { x, gain, grad, eps, by_x } = self;
        let width = gain.len();
        let mut by_gain = vec![0.0; width];
        let rows = by_x.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for ((by_x, x), grad) in rows.zip(grad.chunks_exact(width)) {
            let root = inverse_root::<FUSED>(x, eps);
            let each = grad.iter().zip(x).zip(gain);
            for ((by_x, by_gain), ((grad, x), gain)) in by_x.iter_mut().zip(&mut by_gain).zip(each)
            {
                *by_x = grad * gain;
                *by_gain += grad * (x * root);
            }
            let factor = dot::<FUSED>(by_x, x) / width as f32 * root * root;
            for (by_x, x) in by_x.iter_mut().zip(x) {
                *by_x = (*by_x - x * factor) * root;
            }
        }
        by_gain
    }
}

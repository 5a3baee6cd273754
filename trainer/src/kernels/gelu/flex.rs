//! The GELU on the CPU: one pass over the values, with the exponential that Φ and its density share.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{GeluBackend, GeluKernels, plain_backward, plain_forward};
use crate::kernels::flex_tensors::{are_f32, floats, tensor};
use crate::kernels::vector_level::{Vectorized, exp_of_negative, vectorized};

/// How many values a thread takes at a time.
const VALUES: usize = 1 << 14;

impl GeluBackend for Flex {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::exact_forward(x)
    }
}

impl GeluKernels for Flex {
    fn exact_forward(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !are_f32([&x]) {
            return plain_forward::<Self>(x);
        }
        let x = x.to_contiguous();
        let mut out = vec![0.0; x.layout().num_elements()];
        let parts = out.par_chunks_mut(VALUES).zip(floats(&x).par_chunks(VALUES));
        parts.for_each(|(out, x)| vectorized(Forward { x, out }));
        tensor(out, x.layout().shape())
    }

    fn exact_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if !are_f32([&x, &grad]) {
            return plain_backward::<Self>(x, grad);
        }
        let [x, grad] = [x, grad].map(|tensor| tensor.to_contiguous());
        let mut out = vec![0.0; x.layout().num_elements()];
        let parts = out.par_chunks_mut(VALUES).zip(floats(&x).par_chunks(VALUES));
        let parts = parts.zip(floats(&grad).par_chunks(VALUES));
        parts.for_each(|((out, x), grad)| vectorized(Backward { x, grad, out }));
        tensor(out, x.layout().shape())
    }
}

struct Forward<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Vectorized for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = x * phi(*x).0;
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    grad: &'a [f32],
    out: &'a mut [f32],
}

impl Vectorized for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        /// 1 / √(2π).
        const DENSITY: f32 = 0.398_942_3;
        for ((out, x), grad) in self.out.iter_mut().zip(self.x).zip(self.grad) {
            let (phi, power) = phi(*x);
            *out = grad * (phi + x * power * DENSITY);
        }
    }
}

/// Computes Φ(x) and exp(-x²/2), to 4e-7 of the smaller of Φ(x) and Φ(-x).
#[inline(always)]
fn phi(x: f32) -> (f32, f32) {
    // Φ(-t) exp(t²/2) is u times a polynomial in u = 1 / (1 + 0.35 t). The coefficients are those whose
    // largest relative error for t up to 13 is least; beyond, the power is 0.
    const TERMS: [f32; 10] = [
        0.004_553_526,
        -0.053_209_14,
        0.198_789_32,
        -0.326_166_18,
        0.215_294_78,
        -0.051_751_204,
        0.114_842_45,
        0.117_965_31,
        0.140_069_47,
        0.139_611_65,
    ];
    let power = exp_of_negative(x * x * -0.5);
    let u = 1.0 / (1.0 + 0.35 * x.abs());
    let mut sum = 0.0;
    for term in TERMS {
        sum = sum * u + term;
    }
    let tail = sum * u * power;
    (if x < 0.0 { tail } else { 1.0 - tail }, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_is_exact_in_its_tail_too() {
        // Φ to 17 digits.
        let known = [
            (0.0, 0.5),
            (-0.5, 0.308_537_538_725_986_9),
            (-1.0, 0.158_655_253_931_457_05),
            (-2.5, 0.006_209_665_325_776_132),
            (-5.0, 2.866_515_718_791_939e-7),
            (-9.0, 1.128_588_405_953_840_5e-19),
        ];
        for (x, expected) in known {
            let (found, _) = phi(x);
            let error = f64::from(found) / expected - 1.0;
            assert!(error.abs() < 5e-6, "{x}: {error}");
            let error = f64::from(phi(-x).0) - (1.0 - expected);
            assert!(error.abs() < 2e-7, "{x}: {error}");
        }
        assert!(phi(f32::NAN).0.is_nan());
    }
}

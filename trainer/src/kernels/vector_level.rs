//! Loops compiled for the vector instructions that the processor has.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use macerator::{AutoArch, Simd, WithSimd};

/// How many sums a dot product keeps apart, so that it can use vector instructions.
const LANES: usize = 8;

/// Work whose loops the compiler turns into vector instructions.
///
/// `run` must be marked `#[inline(always)]`, and so must what it calls.
pub(super) trait Vectorized {
    /// What it gives.
    type Output;

    /// Does the work. `FUSED` says that the processor multiplies and adds in one instruction.
    fn run<const FUSED: bool>(self) -> Self::Output;
}

/// Does the work with the widest vectors that the processor has.
pub(super) fn vectorized<W: Vectorized>(work: W) -> W::Output {
    AutoArch::new().dispatch(Dispatched(work))
}

struct Dispatched<W>(W);

impl<W: Vectorized> WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> W::Output {
        // AVX2 and AVX-512 come with fused instructions, SSE without; NEON always has them.
        let is_fused = S::lanes32() >= 8 || cfg!(target_arch = "aarch64");
        if is_fused { self.0.run::<true>() } else { self.0.run::<false>() }
    }
}

/// Computes a · b + c.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Computes the exponential of a number that is not above zero, to 2 units of the last place; below
/// -87 it is 0 in f32, and here at most 2e-38.
#[inline(always)]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    // 1.5 · 2^23: adding it rounds to a whole number, which the low bits then hold.
    const SHIFT: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // What is no number stays none, which `max` would not do.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let whole = shifted - SHIFT;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    // The series of the exponential around 0, for at most half of ln 2.
    let mut sum = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * rest + term;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    sum * power
}

/// Computes 1 / (1 + exp(-x)) and what it lacks to 1, both to 3 units of the last place.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> (f32, f32) {
    let power = exp_of_negative(-x.abs());
    let (near, far) = (1.0 / (1.0 + power), power / (1.0 + power));
    if x < 0.0 { (far, near) } else { (near, far) }
}

/// Computes a dot product with sums in a fixed order.
#[inline(always)]
pub(super) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = multiply_add::<FUSED>(*a, *b, *sum);
        }
    }
    let mut rest = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest += a * b;
    }
    let half = |at: usize| (sums[at] + sums[at + 4]) + (sums[at + 2] + sums[at + 6]);
    half(0) + half(1) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_standard_library() {
        for step in 0..=8700_u16 {
            let x = -f32::from(step) / 100.0;
            let expected = x.exp();
            let error = (exp_of_negative(x) - expected).abs() / expected;
            assert!(error < 3e-7, "{x}: {error}");
        }
        assert_eq!(exp_of_negative(0.0).to_bits(), 1.0_f32.to_bits());
        for x in [-87.5, -1e4, f32::NEG_INFINITY] {
            assert!((0.0..2e-38).contains(&exp_of_negative(x)), "{x}");
        }
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    #[test]
    fn the_sigmoid_is_that_of_doubles_and_so_is_the_rest() {
        for step in -2000..=2000_i16 {
            let x = f32::from(step) / 100.0;
            let (gate, rest) = sigmoid(x);

            let expected = |x: f64| 1.0 / (1.0 + (-x).exp());
            for (found, x) in [(gate, f64::from(x)), (rest, -f64::from(x))] {
                let error = f64::from(found) / expected(x) - 1.0;
                assert!(error.abs() < 4e-7, "{x}: {error}");
            }
        }
        assert_eq!(sigmoid(f32::INFINITY).0.to_bits(), 1.0_f32.to_bits());
        assert!(sigmoid(f32::NAN).0.is_nan());
    }
}

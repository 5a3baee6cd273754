//! Vectors of floats as the processor has them, for loops that the compiler does not find by itself.
#![expect(
    clippy::inline_always,
    reason = "a vector has the instructions of the function that it is in"
)]

use bytemuck::{Pod, Zeroable, cast, cast_slice, cast_slice_mut, pod_read_unaligned};
use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd};

/// As many floats as one register of the processor has.
pub(super) type Floats<S> = Vector<S, f32>;

/// Two neighbouring vectors: enough sums to keep both multipliers of a processor at work.
pub(super) type Pair<S> = [Floats<S>; 2];

/// Work on vectors, compiled for each kind of vector.
///
/// `run` must be marked `#[inline(always)]`, and so must what it calls.
pub(super) trait OnVectors {
    /// What it gives.
    type Output;

    /// Does the work with vectors of the kind `S`.
    fn run<S: Simd>(self) -> Self::Output;
}

/// Does the work with the widest vectors that the processor has.
pub(super) fn on_vectors<W: OnVectors>(work: W) -> W::Output {
    AutoArch::new().dispatch(Dispatched(work))
}

struct Dispatched<W>(W);

impl<W: OnVectors> WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> W::Output {
        self.0.run::<S>()
    }
}

/// Returns how many floats a [`Pair`] has on this processor.
pub(super) fn pair_width() -> usize {
    struct Width;

    impl OnVectors for Width {
        type Output = usize;

        #[inline(always)]
        fn run<S: Simd>(self) -> usize {
            pair::<S>()
        }
    }

    on_vectors(Width)
}

/// Returns how many floats a [`Pair`] has.
#[inline(always)]
pub(super) fn pair<S: Simd>() -> usize {
    2 * S::lanes32()
}

/// Repeats a number in a vector.
#[inline(always)]
pub(super) fn all<S: Simd>(value: f32) -> Floats<S> {
    value.splat()
}

/// Reads a vector from the start of a slice.
#[inline(always)]
pub(super) fn load<S: Simd>(from: &[f32]) -> Floats<S> {
    pod_read_unaligned(cast_slice(&from[..S::lanes32()]))
}

/// Reads two vectors from the start of a slice.
#[inline(always)]
pub(super) fn load_pair<S: Simd>(from: &[f32]) -> Pair<S> {
    let from = &from[..pair::<S>()];
    [load::<S>(from), load::<S>(&from[S::lanes32()..])]
}

/// Reads two vectors from a slice, with zeros after its end.
#[inline(always)]
pub(super) fn load_padded<S: Simd>(from: &[f32]) -> Pair<S> {
    if from.len() >= pair::<S>() {
        return load_pair::<S>(from);
    }
    let mut padded: Pair<S> = Zeroable::zeroed();
    cast_slice_mut::<_, f32>(&mut padded)[..from.len()].copy_from_slice(from);
    padded
}

/// Writes a vector to the start of a slice.
#[inline(always)]
pub(super) fn store<S: Simd>(to: &mut [f32], value: Floats<S>) {
    to[..S::lanes32()].copy_from_slice(cast_slice(&[value]));
}

/// Writes two vectors to the start of a slice.
#[inline(always)]
pub(super) fn store_pair<S: Simd>(to: &mut [f32], pair: Pair<S>) {
    let (first, second) = to.split_at_mut(S::lanes32());
    store::<S>(first, pair[0]);
    store::<S>(second, pair[1]);
}

/// Writes as much of two vectors as a slice has room for.
#[inline(always)]
pub(super) fn store_padded<S: Simd>(to: &mut [f32], values: Pair<S>) {
    if to.len() >= pair::<S>() {
        store_pair::<S>(to, values);
    } else {
        to.copy_from_slice(&cast_slice::<_, f32>(&values)[..to.len()]);
    }
}

/// Computes the exponential of numbers that are not above zero, to 2 units of the last place; below
/// -87 it is 0 in f32, and here at most 2e-38.
#[inline(always)]
pub(super) fn exp_of_negative<S: Simd>(x: Floats<S>) -> Floats<S> {
    // 1.5 · 2^23: adding it rounds to a whole number, which the low bits then hold.
    const SHIFT: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // In this order, what is no number stays none.
    let x = all::<S>(-87.0).max(x);
    let shifted = x.mul_add(all::<S>(std::f32::consts::LOG2_E), all::<S>(SHIFT));
    let whole = shifted - all::<S>(SHIFT);
    let rest = whole.mul_add(all::<S>(-LN_2_HIGH), x);
    let rest = whole.mul_add(all::<S>(-LN_2_LOW), rest);
    // The series of the exponential around 0, for at most half of ln 2.
    let mut sum = all::<S>(1.0 / 5040.0);
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum.mul_add(rest, all::<S>(term));
    }
    let bits: Vector<S, u32> = cast(shifted);
    let power: Floats<S> = cast((bits + 127_u32.splat()) << 23);
    sum * power
}

/// Floats from an address on at which every kind of vector may begin.
#[derive(Debug)]
pub(super) struct AlignedFloats {
    lines: Vec<Line>,
    len: usize,
}

/// A line of the processor's cache.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl AlignedFloats {
    /// Makes so many zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }

    pub(super) fn values(&self) -> &[f32] {
        &cast_slice(&self.lines)[..self.len]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut cast_slice_mut(&mut self.lines)[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl OnVectors for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self) {
            for values in self.0.chunks_mut(pair::<S>()) {
                let [first, second] = load_padded::<S>(values);
                store_padded::<S>(
                    values,
                    [exp_of_negative::<S>(first), exp_of_negative::<S>(second)],
                );
            }
        }
    }

    #[test]
    fn the_exponential_is_that_of_the_standard_library() {
        let at: Vec<f32> = (0..=8700_u16).map(|step| -f32::from(step) / 100.0).collect();
        let mut found = at.clone();
        on_vectors(Exp(&mut found));

        for (x, found) in at.iter().zip(&found) {
            let error = (found - x.exp()).abs() / x.exp();
            assert!(error < 3e-7, "{x}: {error}");
        }
        assert_eq!(found[0].to_bits(), 1.0_f32.to_bits());
        let mut edges = [-87.5, -1e4, f32::NEG_INFINITY, f32::NAN];
        on_vectors(Exp(&mut edges));
        assert!(edges[..3].iter().all(|value| (0.0..2e-38).contains(value)), "{edges:?}");
        assert!(edges[3].is_nan());
    }
}

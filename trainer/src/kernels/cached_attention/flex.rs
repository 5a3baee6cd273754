//! Attention over a cache on the CPU: the entries of a slot are read once, from first to last, for several
//! heads at a time.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use macerator::Simd;
use rayon::prelude::*;

use super::{CachedAttentionBackend, SeenEntries};
use crate::convert::rounded;
use crate::kernels::flex_tensors::{floats, tensor};
use crate::kernels::vector_level;
use crate::kernels::vectors::{Floats, OnVectors, all, exp_of_negative, load, on_vectors, store};

/// How many vectors of an entry go through a loop together: as many sums as keep the multipliers at work.
const VECTORS: usize = 8;

impl CachedAttentionBackend for Flex {
    fn cached_attention(
        q: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        seen: Arc<SeenEntries>,
    ) -> FloatTensor<Self> {
        let [q, keys, values] = [q, keys, values].map(|tensor| tensor.to_contiguous());
        let shape = [q.layout().shape()[0], q.layout().shape()[1]];
        let (width, head_dim) = (shape[1], seen.head_dim);
        let [q, keys, values] = [&q, &keys, &values].map(floats);
        let mut out = vec![0.0; q.len()];
        // A few slots divide their heads among the threads; no bit depends on that.
        let used = seen.counts.iter().filter(|&&count| count > 0).count();
        let span = if used < 2 * rayon::current_num_threads() { head_dim } else { width };
        out.par_chunks_mut(span).enumerate().for_each(|(index, out)| {
            let (slot, channel) = (index * span / width, index * span % width);
            let count = seen.counts[slot];
            let first = slot * seen.capacity * width;
            let entries = first..first + count * width;
            on_vectors(Attend {
                query: &q[index * span..(index + 1) * span],
                keys: &keys[entries.clone()],
                values: &values[entries],
                width,
                channel,
                head_dim,
                out,
            });
        });
        tensor(out, &shape)
    }
}

/// The attention of some heads of a slot.
struct Attend<'a> {
    /// The queries of the heads, one after the other.
    query: &'a [f32],
    /// The entries of the slot that its query sees, with all heads.
    keys: &'a [f32],
    values: &'a [f32],
    /// Numbers in an entry.
    width: usize,
    /// Where the heads begin in an entry.
    channel: usize,
    head_dim: usize,
    out: &'a mut [f32],
}

impl OnVectors for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        // The usual widths of a head in vectors, which the compiler then knows.
        match (self.head_dim % S::lanes32(), self.head_dim / S::lanes32()) {
            (0, 1) => self.by_groups::<S, 1, VECTORS>(),
            (0, 2) => self.by_groups::<S, 2, { VECTORS / 2 }>(),
            (0, 4) => self.by_groups::<S, 4, { VECTORS / 4 }>(),
            (0, 8) => self.by_groups::<S, 8, { VECTORS / 8 }>(),
            _ => self.one_by_one::<S>(),
        }
    }
}

impl<'a> Attend<'a> {
    /// Computes the heads of `V` vectors each, `H` of them at a time. A head's numbers do not depend on `H`.
    #[inline(always)]
    fn by_groups<S: Simd, const V: usize, const H: usize>(self) {
        let Self { query, keys, values, width, channel, head_dim, out } = self;
        let groups = query.chunks(H * head_dim).zip(out.chunks_mut(H * head_dim));
        for (group, (query, out)) in groups.enumerate() {
            let channel = channel + group * H * head_dim;
            if query.len() == H * head_dim {
                let heads = Attend { query, keys, values, width, channel, head_dim, out };
                heads.together::<S, V, H>();
                continue;
            }
            let heads = query.chunks(head_dim).zip(out.chunks_mut(head_dim));
            for (head, (query, out)) in heads.enumerate() {
                let channel = channel + head * head_dim;
                let head = Attend { query, keys, values, width, channel, head_dim, out };
                head.together::<S, V, 1>();
            }
        }
    }

    /// Computes `H` heads of `V` vectors each, in one pass over the keys and one over the values.
    #[inline(always)]
    fn together<S: Simd, const V: usize, const H: usize>(self) {
        let Self { query, keys, values, width, channel, head_dim, out } = self;
        let (count, lanes) = (keys.len() / width, S::lanes32());
        let span = channel..channel + H * head_dim;
        let scale = rounded((head_dim as f64).powf(-0.5));
        let query: [[Floats<S>; V]; H] = std::array::from_fn(|head| {
            std::array::from_fn(|at| load::<S>(&query[head * head_dim + at * lanes..]))
        });
        // The weights of a head stand together.
        let mut weights = vec![0.0; count * H];
        for (number, entry) in keys.chunks_exact(width).enumerate() {
            let entry = &entry[span.clone()];
            for (head, query) in query.iter().enumerate() {
                let mut sum = all::<S>(0.0);
                for (at, query) in query.iter().enumerate() {
                    sum = load::<S>(&entry[head * head_dim + at * lanes..]).mul_add(*query, sum);
                }
                weights[head * count + number] = sum.reduce_add() * scale;
            }
        }
        let mut totals = [0.0; H];
        for (weights, total) in weights.chunks_exact_mut(count.max(1)).zip(&mut totals) {
            *total = powers::<S>(weights);
        }
        let mut sums = [[all::<S>(0.0); V]; H];
        for (number, entry) in values.chunks_exact(width).enumerate() {
            let entry = &entry[span.clone()];
            for (head, sums) in sums.iter_mut().enumerate() {
                let weight = all::<S>(weights[head * count + number]);
                for (at, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<S>(&entry[head * head_dim + at * lanes..]).mul_add(weight, *sum);
                }
            }
        }
        for (head, sums) in sums.into_iter().enumerate() {
            let factor = all::<S>(inverse(totals[head]));
            for (at, sum) in sums.into_iter().enumerate() {
                store::<S>(&mut out[head * head_dim + at * lanes..], sum * factor);
            }
        }
    }

    /// Computes heads of any width, number by number.
    #[inline(always)]
    fn one_by_one<S: Simd>(self) {
        let Self { query, keys, values, width, channel, head_dim, out } = self;
        let scale: f32 = rounded((head_dim as f64).powf(-0.5));
        let heads = query.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim));
        for (head, (query, out)) in heads.enumerate() {
            let first = channel + head * head_dim;
            let part = |entry: &'a [f32]| &entry[first..first + head_dim];
            let dot = |entry: &'a [f32]| {
                query.iter().zip(part(entry)).map(|(a, b)| a * b).sum::<f32>() * scale
            };
            let mut weights: Vec<f32> = keys.chunks_exact(width).map(dot).collect();
            let factor = inverse(powers::<S>(&mut weights));
            for (entry, weight) in values.chunks_exact(width).zip(weights) {
                for (out, value) in out.iter_mut().zip(part(entry)) {
                    *out += weight * value;
                }
            }
            for out in out {
                *out *= factor;
            }
        }
    }
}

/// Returns what a sum of weights is divided by; a slot without entries has zeros.
#[inline(always)]
fn inverse(total: f32) -> f32 {
    if total == 0.0 { 0.0 } else { 1.0 / total }
}

/// Replaces scores by their exponentials after the highest score is taken off, and returns the sum.
#[inline(always)]
fn powers<S: Simd>(scores: &mut [f32]) -> f32 {
    let lanes = S::lanes32();
    let whole = scores.len() / lanes * lanes;
    let (vectors, rest) = scores.split_at_mut(whole);
    let mut highest = all::<S>(f32::NEG_INFINITY);
    for scores in vectors.chunks_exact(lanes) {
        highest = highest.max(load::<S>(scores));
    }
    let highest = rest.iter().copied().fold(highest.reduce_max(), f32::max);
    let mut total = all::<S>(0.0);
    for scores in vectors.chunks_exact_mut(lanes) {
        let power = exp_of_negative::<S>(load::<S>(scores) - all::<S>(highest));
        total += power;
        store::<S>(scores, power);
    }
    let mut sum = total.reduce_add();
    for score in rest {
        *score = vector_level::exp_of_negative(*score - highest);
        sum += *score;
    }
    sum
}

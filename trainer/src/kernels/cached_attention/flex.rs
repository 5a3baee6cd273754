//! Attention over a cache on the CPU: the entries of a slot are read once, from first to last, for all of
//! its heads.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use std::hint::black_box;
use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::{CachedAttentionBackend, SeenEntries};
use crate::convert::rounded;
use crate::kernels::flex_tensors::floats;
use crate::kernels::vector_level::{Vectorized, dot, exp_of_negative, multiply_add, vectorized};

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
            vectorized(Attend {
                query: &q[index * span..(index + 1) * span],
                keys: &keys[entries.clone()],
                values: &values[entries],
                width,
                channel,
                head_dim,
                out,
            });
        });
        Self::float_from_data(TensorData::new(out, shape), &burn::backend::FlexDevice)
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

impl Vectorized for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { query, keys, values, width, channel, head_dim, out } = self;
        let heads = query.len() / head_dim;
        let scale = rounded((head_dim as f64).powf(-0.5));
        let span = channel..channel + query.len();
        // The weights of an entry, of all heads, stand together.
        let mut weights = vec![0.0; keys.len() / width * heads];
        for (entry, weights) in keys.chunks_exact(width).zip(weights.chunks_exact_mut(heads)) {
            let keys = entry[span.clone()].chunks_exact(head_dim);
            for ((weight, key), query) in
                weights.iter_mut().zip(keys).zip(query.chunks_exact(head_dim))
            {
                // Across entries, the compiler would gather single numbers, which is far slower.
                *weight = black_box(dot::<FUSED>(query, key)) * scale;
            }
        }
        let mut highest = vec![f32::NEG_INFINITY; heads];
        for weights in weights.chunks_exact(heads) {
            for (highest, weight) in highest.iter_mut().zip(weights) {
                *highest = highest.max(*weight);
            }
        }
        for weights in weights.chunks_exact_mut(heads) {
            for (weight, highest) in weights.iter_mut().zip(&highest) {
                *weight -= highest;
            }
        }
        for weight in &mut weights {
            *weight = exp_of_negative(*weight);
        }
        let mut totals = vec![0.0; heads];
        for (entry, weights) in values.chunks_exact(width).zip(weights.chunks_exact(heads)) {
            let values = &entry[span.clone()];
            for (total, weight) in totals.iter_mut().zip(weights) {
                *total += weight;
            }
            // The usual widths, which the compiler then knows.
            match head_dim {
                32 => add_known::<32, FUSED>(out, weights, values),
                64 => add_known::<64, FUSED>(out, weights, values),
                128 => add_known::<128, FUSED>(out, weights, values),
                _ => add::<FUSED>(out, weights, values, head_dim),
            }
        }
        for (total, out) in totals.iter().zip(out.chunks_exact_mut(head_dim)) {
            if *total > 0.0 || total.is_nan() {
                for out in out {
                    *out /= total;
                }
            }
        }
    }
}

/// Adds the values of an entry to the outputs, each head by its weight.
#[inline(always)]
fn add_known<const HEAD_DIM: usize, const FUSED: bool>(
    out: &mut [f32],
    weights: &[f32],
    values: &[f32],
) {
    let heads = out.as_chunks_mut::<HEAD_DIM>().0.iter_mut();
    for ((out, weight), values) in heads.zip(weights).zip(values.as_chunks::<HEAD_DIM>().0) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = multiply_add::<FUSED>(*weight, *value, *out);
        }
    }
}

/// Adds the values of an entry with heads of any width.
#[inline(always)]
fn add<const FUSED: bool>(out: &mut [f32], weights: &[f32], values: &[f32], head_dim: usize) {
    let heads = out.chunks_exact_mut(head_dim);
    for ((out, weight), values) in heads.zip(weights).zip(values.chunks_exact(head_dim)) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = multiply_add::<FUSED>(*weight, *value, *out);
        }
    }
}

//! Attention over a cache on the CPU: one loop over the entries for each slot and head.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::{CachedAttentionBackend, SeenEntries};
use crate::convert::rounded;

/// How many sums a dot product keeps apart, so that it can use vector instructions.
const LANES: usize = 8;

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
        let heads = width / head_dim;
        let [q, keys, values] = [&q, &keys, &values].map(floats);
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(head_dim).enumerate().for_each(|(index, out)| {
            let (slot, head) = (index / heads, index % heads);
            let entry = |number: usize| {
                let start = (slot * seen.capacity + number) * width + head * head_dim;
                start..start + head_dim
            };
            let query = &q[index * head_dim..(index + 1) * head_dim];
            let scale = rounded((head_dim as f64).powf(-0.5));
            let mut weights: Vec<f32> = (0..seen.counts[slot])
                .map(|number| dot(query, &keys[entry(number)]) * scale)
                .collect();
            let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut total = 0.0;
            for weight in &mut weights {
                *weight = (*weight - highest).exp();
                total += *weight;
            }
            for (number, weight) in weights.iter().enumerate() {
                let weight = weight / total;
                for (out, value) in out.iter_mut().zip(&values[entry(number)]) {
                    *out += weight * value;
                }
            }
        });
        Self::float_from_data(TensorData::new(out, shape), &burn::backend::FlexDevice)
    }
}

/// Computes a dot product with sums in a fixed order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Returns the values of a contiguous f32 tensor: the layers compute in f32 on the CPU.
fn floats(tensor: &FloatTensor<Flex>) -> &[f32] {
    let values: &[f32] = tensor.storage();
    let start = tensor.layout().start_offset();
    &values[start..start + tensor.layout().num_elements()]
}

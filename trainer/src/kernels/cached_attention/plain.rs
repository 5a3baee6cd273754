//! Attention over a cache in tensor operations: the form of GPUs, and the slow twin of the kernel.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, FloatDType, Tensor, TensorData};

use super::SeenEntries;

/// Computes [`cached_attention`](super::cached_attention) over all entries, with a mask.
pub(crate) fn plain_cached_attention(
    q: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    seen: &SeenEntries,
) -> Tensor<2> {
    let ([slots, width], dtype) = (q.dims(), q.dtype());
    let (capacity, head_dim) = (seen.capacity, seen.head_dim);
    let heads = width / head_dim;
    let device = q.device();
    let split = |x: Tensor<2>, entries: usize| {
        x.cast(FloatDType::F32).reshape([slots, entries, heads, head_dim]).swap_dims(1, 2)
    };
    let scores = split(q, 1).matmul(split(keys, capacity).swap_dims(2, 3));
    let scores = scores * (head_dim as f64).powf(-0.5);
    let hidden: Vec<bool> = seen
        .counts
        .iter()
        .flat_map(|&count| (0..capacity).map(move |entry| entry >= count))
        .collect();
    let hidden =
        Tensor::<4, Bool>::from_data(TensorData::new(hidden, [slots, 1, 1, capacity]), &device);
    let hidden = hidden.expand([slots, heads, 1, capacity]);
    // A slot without entries has finite weights, which are set to zero below.
    let weights = softmax(scores.mask_fill(hidden.clone(), -1e30), 3).mask_fill(hidden, 0.0);
    let mixed = weights.matmul(split(values, capacity));
    mixed.swap_dims(1, 2).reshape([slots, width]).cast(FloatDType::from(dtype))
}

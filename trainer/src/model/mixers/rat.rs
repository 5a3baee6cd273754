//! RAT: a gated recurrence within chunks, softmax attention between them.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::heads::{merge_heads, split_heads};
use super::recurrence::{gate, recur};
use crate::kernels::attention::{chunk_attention, packed_attention};
use crate::model::config::MixerShape;
use crate::model::positions::Geometry;

/// Mixes within chunks by a recurrence over values and keys, and between chunks by attention.
///
/// The query of token t sees, in one softmax, the last state of every earlier chunk and the state
/// of t itself. That is at most 1 + seq / `chunk_len` scores for each query, never seq of them.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model` + 2 · `kv_groups` · `head_dim`], the output gates z,
/// the values, the gates, the queries and the keys in this order; `bias`: [`d_model`];
/// output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    bias: Tensor<1>,
    shape: &MixerShape,
    geometry: &Geometry,
) -> Tensor<3> {
    let (width, group_width) = (shape.heads * shape.head_dim, shape.kv_groups * shape.head_dim);
    let channels = |start: usize, length: usize| projected.clone().narrow(2, start, length);
    let (z, v) = (channels(0, width), channels(width, width));
    let gate = gate(channels(2 * width, width), bias);
    let repeat = |x: Tensor<3>| x.repeat(&[1, 1, shape.heads / shape.kv_groups]);
    let q = repeat(channels(3 * width, group_width));
    let k = repeat(channels(3 * width + group_width, group_width));

    let packed = geometry.packed_chunks.as_ref();
    let (k, v) = match packed {
        None => (recur_by_chunk(gate.clone(), k, shape), recur_by_chunk(gate, v, shape)),
        Some(chunks) => {
            (recur(gate.clone(), k, Some(&chunks.carry)), recur(gate, v, Some(&chunks.carry)))
        }
    };
    let (mut q, mut k) = (split_heads(q, shape), split_heads(k, shape));
    let v = split_heads(v, shape);
    if let Some(rotation) = &geometry.chunk_rotation {
        q = rotation.apply(q);
        k = rotation.apply(k);
    }
    let mixed = match packed {
        None => chunk_attention(q, k, v, shape.chunk_len),
        Some(chunks) => packed_attention(q, k, v, &chunks.mask),
    };
    sigmoid(z) * merge_heads(mixed)
}

/// Runs the recurrence within each chunk, from zero at its start.
fn recur_by_chunk(gate: Tensor<3>, x: Tensor<3>, shape: &MixerShape) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let chunks = [batch * (seq / shape.chunk_len), shape.chunk_len, width];
    recur(gate.reshape(chunks), x.reshape(chunks), None).reshape([batch, seq, width])
}

//! RAT: a gated recurrence within chunks, softmax attention between them.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::attention::{merge_heads, split_heads};
use super::block::MixerShape;
use super::blockwise::{chunk_attention, packed_attention};
use super::context::Geometry;
use super::rnn::{gate, recur};

/// Mixes within chunks by a recurrence over values and keys, and between chunks by attention.
///
/// The query of token t meets, in one softmax, the last state of every earlier chunk and the
/// state of t itself: 1 + seq / `chunk_len` scores for each query at most, never seq of them.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model` + 2 · `kv_groups` · `head_dim`], the output gates z,
/// the values, the gates, the queries and the keys in this order; `bias`: [`d_model`];
/// output: [batch, seq, `d_model`].
pub(crate) fn mix(
    projected: &Tensor<3>,
    bias: Tensor<1>,
    shape: &MixerShape,
    geometry: &Geometry,
) -> Tensor<3> {
    let (width, group_width) = (shape.heads * shape.head_dim, shape.kv_groups * shape.head_dim);
    let part = |start: usize, length: usize| projected.clone().narrow(2, start, length);
    let (z, v) = (part(0, width), part(width, width));
    let gate = gate(part(2 * width, width), bias);
    let tile = |x: Tensor<3>| x.repeat(&[1, 1, shape.heads / shape.kv_groups]);
    let q = tile(part(3 * width, group_width));
    let k = tile(part(3 * width + group_width, group_width));

    let packed = geometry.packed_chunks.as_ref();
    let (k, v) = match packed {
        None => (by_chunk(gate.clone(), k, shape), by_chunk(gate, v, shape)),
        Some(chunks) => {
            (recur(gate.clone(), k, Some(&chunks.keep)), recur(gate, v, Some(&chunks.keep)))
        }
    };
    let (mut q, mut k) = (split_heads(q, shape), split_heads(k, shape));
    let v = split_heads(v, shape);
    if let Some(rotation) = &geometry.by_chunk {
        q = rotation.apply(q);
        k = rotation.apply(k);
    }
    let mixed = match packed {
        None => chunk_attention(q, k, v, shape.chunk_len),
        Some(chunks) => packed_attention(q, k, v, &chunks.sight),
    };
    sigmoid(z) * merge_heads(mixed)
}

/// Runs the recurrence within each chunk, from zero at its start.
fn by_chunk(gate: Tensor<3>, x: Tensor<3>, shape: &MixerShape) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let chunks = [batch * (seq / shape.chunk_len), shape.chunk_len, width];
    recur(gate.reshape(chunks), x.reshape(chunks), None).reshape([batch, seq, width])
}

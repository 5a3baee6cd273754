//! RAT: a gated recurrence within chunks, softmax attention between them.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Bool, FloatDType};

use super::attention::{merge_heads, split_heads};
use super::block::MixerShape;
use super::blockwise::chunk_attention;
use super::context::{Geometry, PackedChunks};
use super::rms_norm::to_dtype;
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

    let packed = geometry.packed.as_ref().and_then(|packed| packed.chunks.as_ref());
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
        Some(chunks) => attend_packed(q, k, v, chunks),
    };
    sigmoid(z) * merge_heads(mixed)
}

/// Runs the recurrence within each chunk, from zero at its start.
fn by_chunk(gate: Tensor<3>, x: Tensor<3>, shape: &MixerShape) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let chunks = [batch * (seq / shape.chunk_len), shape.chunk_len, width];
    recur(gate.reshape(chunks), x.reshape(chunks), None).reshape([batch, seq, width])
}

/// Attends where each document begins with a chunk of its own.
fn attend_packed(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, chunks: &PackedChunks) -> Tensor<4> {
    let [batch, heads, _, head_dim] = q.dims();
    let count = chunks.ends.dims()[1];
    let index =
        chunks.ends.clone().reshape([batch, 1, count, 1]).expand([batch, heads, count, head_dim]);
    let (end_keys, end_values) = (k.clone().gather(2, index.clone()), v.clone().gather(2, index));
    attend(q, k, v, end_keys, end_values, chunks.hidden.clone())
}

/// One softmax over the scores of the chunks' ends and of the token's own state.
///
/// # Shapes
/// `q`, `k`, `v`: [batch, heads, seq, `head_dim`]; `end_keys`, `end_values`: [batch, heads,
/// chunks, `head_dim`]; `hidden`: [batch, 1, seq, chunks].
fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    end_keys: Tensor<4>,
    end_values: Tensor<4>,
    hidden: Tensor<4, Bool>,
) -> Tensor<4> {
    let [batch, heads, seq, head_dim] = q.dims();
    let (chunks, dtype) = (end_keys.dims()[2], q.dtype());
    let scale = (head_dim as f64).powf(-0.5);
    let own = (q.clone() * k).cast(FloatDType::F32).sum_dim(3) * scale;
    let others = q.matmul(end_keys.swap_dims(2, 3)).cast(FloatDType::F32) * scale;
    let others = others.mask_fill(hidden.expand([batch, heads, seq, chunks]), f32::NEG_INFINITY);
    let weights = to_dtype(softmax(Tensor::cat(vec![others, own], 3), 3), dtype);
    let of_others = weights.clone().narrow(3, 0, chunks).matmul(end_values);
    of_others + weights.narrow(3, chunks, 1) * v
}

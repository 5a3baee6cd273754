//! RAT: a gated recurrence within chunks, softmax attention between them.

use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Tensor};

use super::heads::{merge_heads, split_heads};
use super::recurrence::{advance, gate, recur};
use crate::kernels::attention::{chunk_attention, packed_attention};
use crate::model::caches::{Kept, KeyCache};
use crate::model::config::MixerShape;
use crate::model::positions::{Geometry, Rotation, StepGeometry};
use crate::model::precision::to_dtype;

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
) -> (Tensor<3>, Kept) {
    let Parts { z, v, g, q, k } = Parts::of(projected, shape);
    let gate = gate(g, bias);
    let packed = geometry.packed_chunks.as_ref();
    let (k, v) = match packed {
        None => (recur_by_chunk(gate.clone(), k, shape), recur_by_chunk(gate, v, shape)),
        Some(chunks) => {
            (recur(gate.clone(), k, Some(&chunks.carry)), recur(gate, v, Some(&chunks.carry)))
        }
    };
    let rotation = geometry.chunk_rotation.as_ref();
    let heads = |x: &Tensor<3>| split_heads(to_dtype(x.clone(), z.dtype()), shape);
    let (q, rotated_k) = (rotated(heads(&q), rotation), rotated(heads(&k), rotation));
    let values = heads(&v);
    let kept = Kept::Chunks { k, v, rotated_k: rotated_k.clone() };
    let mixed = match packed {
        None => chunk_attention(q, rotated_k, values, shape.chunk_len),
        Some(chunks) => packed_attention(q, rotated_k, values, &chunks.mask),
    };
    (sigmoid(z) * merge_heads(mixed), kept)
}

/// Mixes one new token in each slot: first into the states of the slot's last chunk, which then take
/// the place of the chunk's entry.
///
/// # Shapes
/// `projected`: [slots, 1, width], `states` (of keys and of values) and output: [slots, 1, `d_model`].
pub(super) fn step(
    projected: &Tensor<3>,
    bias: Tensor<1>,
    shape: &MixerShape,
    entries: &mut KeyCache,
    states: [&mut Tensor<3>; 2],
    geometry: &StepGeometry,
) -> Tensor<3> {
    let Parts { z, v, g, q, k } = Parts::of(projected, shape);
    let gate = gate(g, bias);
    let dtype: DType = z.dtype();
    let [k, v] = [(k, 0), (v, 1)].map(|(new, index)| {
        let mut before = states[index].clone();
        if let Some(carry) = &geometry.chunk_carry {
            before = before * carry.clone();
        }
        advance(before, gate.clone(), new)
    });
    for (state, new) in states.into_iter().zip([&k, &v]) {
        *state = new.clone();
    }
    let rotation = geometry.chunk_rotation.as_ref();
    let heads = |x: Tensor<3>| split_heads(to_dtype(x, dtype), shape);
    let (q, k, v) = (rotated(heads(q), rotation), rotated(heads(k), rotation), heads(v));
    let chunk = |at: &Option<usize>| at.map(|at| at / shape.chunk_len);
    let places: Vec<usize> = geometry.positions.iter().map(|at| chunk(at).unwrap_or(0)).collect();
    let counts: Vec<usize> =
        geometry.positions.iter().map(|at| chunk(at).map_or(0, |chunk| chunk + 1)).collect();
    sigmoid(z) * merge_heads(entries.step([q, k, v], &places, counts))
}

/// The projections of a layer: output gates, values, gates, and the queries and keys of all heads.
struct Parts {
    z: Tensor<3>,
    v: Tensor<3>,
    g: Tensor<3>,
    q: Tensor<3>,
    k: Tensor<3>,
}

impl Parts {
    fn of(projected: &Tensor<3>, shape: &MixerShape) -> Self {
        let (width, group_width) = (shape.heads * shape.head_dim, shape.kv_groups * shape.head_dim);
        let channels = |start: usize, length: usize| projected.clone().narrow(2, start, length);
        let repeat = |x: Tensor<3>| x.repeat(&[1, 1, shape.heads / shape.kv_groups]);
        Self {
            z: channels(0, width),
            v: channels(width, width),
            g: channels(2 * width, width),
            q: repeat(channels(3 * width, group_width)),
            k: repeat(channels(3 * width + group_width, group_width)),
        }
    }
}

fn rotated(x: Tensor<4>, rotation: Option<&Rotation>) -> Tensor<4> {
    match rotation {
        Some(rotation) => rotation.apply(x),
        None => x,
    }
}

/// Runs the recurrence within each chunk, from zero at its start.
fn recur_by_chunk(gate: Tensor<3>, x: Tensor<3>, shape: &MixerShape) -> Tensor<3> {
    let [batch, seq, width] = x.dims();
    let chunks = [batch * (seq / shape.chunk_len), shape.chunk_len, width];
    recur(gate.reshape(chunks), x.reshape(chunks), None).reshape([batch, seq, width])
}

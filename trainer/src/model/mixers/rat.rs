//! RAT: a gated recurrence within chunks, softmax attention between them.

use burn::tensor::{DType, Tensor};

use super::heads::{merge_heads, split_heads};
use super::recurrence::{advance, gate};
use crate::kernels::attention::{chunk_attention, packed_attention};
use crate::kernels::output_gate::output_gate;
use crate::kernels::scan::{ScannedWithKeys, scan_with_keys};
use crate::model::caches::{Kept, KeyCache};
use crate::model::config::MixerShape;
use crate::model::positions::{Geometry, RatGeometry, Rotation, StepGeometry};
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
    states: DType,
) -> (Tensor<3>, Kept) {
    let RatGeometry { carry, packed } =
        geometry.rat.as_ref().unwrap_or_else(|| unreachable!("the geometry of a RAT has a carry"));
    let chunk_len = packed.is_none().then_some(shape.chunk_len);
    let key_width = shape.kv_groups * shape.head_dim;
    let ScannedWithKeys { z, values: v, q, keys: k } =
        scan_with_keys(projected.clone(), bias, carry.clone(), key_width, chunk_len, states);
    let rotation = geometry.chunk_rotation.as_ref();
    let heads = |x: &Tensor<3>| split_heads(to_dtype(x.clone(), z.dtype()), shape);
    let q = rotated(heads(&for_all_heads(q, shape)), rotation);
    let (rotated_k, values) = (rotated(heads(&k), rotation), heads(&v));
    let kept = Kept::Chunks { k, v, rotated_k: rotated_k.clone() };
    let mixed = match packed {
        None => chunk_attention(q, rotated_k, values, shape.chunk_len),
        Some(mask) => packed_attention(q, rotated_k, values, mask),
    };
    (output_gate(z, merge_heads(mixed)), kept)
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
    output_gate(z, merge_heads(entries.step([q, k, v], &places, counts)))
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
        Self {
            z: channels(0, width),
            v: channels(width, width),
            g: channels(2 * width, width),
            q: for_all_heads(channels(3 * width, group_width), shape),
            k: for_all_heads(channels(3 * width + group_width, group_width), shape),
        }
    }
}

fn rotated(x: Tensor<4>, rotation: Option<&Rotation>) -> Tensor<4> {
    match rotation {
        Some(rotation) => rotation.apply(x),
        None => x,
    }
}

/// Repeats queries or keys of groups for all heads.
fn for_all_heads(x: Tensor<3>, shape: &MixerShape) -> Tensor<3> {
    match shape.heads / shape.kv_groups {
        1 => x,
        repeats => x.repeat(&[1, 1, repeats]),
    }
}

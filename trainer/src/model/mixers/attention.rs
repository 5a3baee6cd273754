//! Causal softmax attention, over all earlier tokens or over a window of them.

use burn::tensor::Tensor;

use super::heads::{merge_heads, split_heads};
use crate::kernels::attention::{packed_attention, window_attention};
use crate::model::caches::{Kept, KeyCache, ring_len};
use crate::model::config::{MixerKind, MixerShape};
use crate::model::positions::{Geometry, Rotation, StepGeometry};

/// Mixes by attention: query i sees the keys j with 0 <= i - j, and with i - j <= `window` where
/// the attention is local.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the values, queries and keys in this order;
/// output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    shape: &MixerShape,
    geometry: &Geometry,
) -> (Tensor<3>, Kept) {
    let (q, k, v) = heads(projected, shape, geometry.position_rotation.as_ref());
    let kept = Kept::Keys { k: k.clone(), v: v.clone() };
    let (mask, window) = match shape.kind {
        MixerKind::LocalAttention => (&geometry.window_mask, shape.window),
        _ => (&geometry.full_mask, usize::MAX),
    };
    let mixed = merge_heads(match mask {
        None => window_attention(q, k, v, window),
        Some(mask) => packed_attention(q, k, v, mask),
    });
    (mixed, kept)
}

/// Mixes one new token in each slot with the tokens in the cache.
///
/// # Shapes
/// `projected`: [slots, 1, 3 · `d_model`], output: [slots, 1, `d_model`].
pub(super) fn step(
    projected: &Tensor<3>,
    shape: &MixerShape,
    cache: &mut KeyCache,
    geometry: &StepGeometry,
) -> Tensor<3> {
    let (q, k, v) = heads(projected, shape, geometry.position_rotation.as_ref());
    let ring = ring_len(shape);
    let places: Vec<usize> =
        geometry.positions.iter().map(|at| at.map_or(0, |at| at % ring)).collect();
    let counts: Vec<usize> =
        geometry.positions.iter().map(|at| at.map_or(0, |at| (at + 1).min(ring))).collect();
    merge_heads(cache.step([q, k, v], &places, counts))
}

/// Returns queries and keys, both rotated, and values: [batch, heads, seq, `head_dim`].
fn heads(
    projected: &Tensor<3>,
    shape: &MixerShape,
    rotation: Option<&Rotation>,
) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
    let width = shape.heads * shape.head_dim;
    let heads =
        |index: usize| split_heads(projected.clone().narrow(2, index * width, width), shape);
    let (v, q, k) = (heads(0), heads(1), heads(2));
    match rotation {
        Some(rotation) => (rotation.apply(q), rotation.apply(k), v),
        None => (q, k, v),
    }
}

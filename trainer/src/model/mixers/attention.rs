//! Causal softmax attention, over all earlier tokens or over a window of them.

use burn::tensor::Tensor;

use super::heads::{merge_heads, split_heads};
use crate::kernels::attention::{packed_attention, window_attention};
use crate::model::config::MixerShape;
use crate::model::positions::Geometry;

/// Mixes by attention: query i sees the keys j with 0 <= i - j, and with i - j <= `window` where
/// there is one.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the values, queries and keys in this order;
/// output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    shape: &MixerShape,
    window: Option<usize>,
    geometry: &Geometry,
) -> Tensor<3> {
    let width = shape.heads * shape.head_dim;
    let heads =
        |index: usize| split_heads(projected.clone().narrow(2, index * width, width), shape);
    let (v, q, k) = (heads(0), heads(1), heads(2));
    let (q, k) = match &geometry.position_rotation {
        Some(rotation) => (rotation.apply(q), rotation.apply(k)),
        None => (q, k),
    };
    let mask = match window {
        None => &geometry.full_mask,
        Some(_) => &geometry.window_mask,
    };
    merge_heads(match mask {
        None => window_attention(q, k, v, window.unwrap_or(usize::MAX)),
        Some(mask) => packed_attention(q, k, v, mask),
    })
}

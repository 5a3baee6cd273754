//! Causal softmax attention, over all earlier tokens or over a window of them.

use burn::tensor::Tensor;

use super::block::MixerShape;
use super::blockwise::{packed_attention, window_attention};
use super::context::Geometry;

/// Mixes by attention: query i sees the keys j with 0 <= i - j, and i - j <= `window` where there
/// is one.
///
/// # Shapes
/// `projected`: [batch, seq, 3 · `d_model`], the values, queries and keys in this order;
/// output: [batch, seq, `d_model`].
pub(crate) fn mix(
    projected: &Tensor<3>,
    shape: &MixerShape,
    window: Option<usize>,
    geometry: &Geometry,
) -> Tensor<3> {
    let width = shape.heads * shape.head_dim;
    let part = |index: usize| split_heads(projected.clone().narrow(2, index * width, width), shape);
    let (v, q, k) = (part(0), part(1), part(2));
    let (q, k) = match &geometry.by_position {
        Some(rotation) => (rotation.apply(q), rotation.apply(k)),
        None => (q, k),
    };
    let packed = match window {
        None => &geometry.packed_whole,
        Some(_) => &geometry.packed_window,
    };
    merge_heads(match packed {
        None => window_attention(q, k, v, window.unwrap_or(usize::MAX)),
        Some(sight) => packed_attention(q, k, v, sight),
    })
}

/// Parts the channels into heads: [batch, seq, width] to [batch, heads, seq, `head_dim`].
pub(crate) fn split_heads(x: Tensor<3>, shape: &MixerShape) -> Tensor<4> {
    let [batch, seq, width] = x.dims();
    x.reshape([batch, seq, width / shape.head_dim, shape.head_dim]).swap_dims(1, 2)
}

/// Joins the heads again: [batch, heads, seq, `head_dim`] to [batch, seq, width].
pub(crate) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, seq, head_dim] = x.dims();
    x.swap_dims(1, 2).reshape([batch, seq, heads * head_dim])
}

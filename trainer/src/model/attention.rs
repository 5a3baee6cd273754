//! Causal softmax attention, over all earlier tokens or over a window of them.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, FloatDType, Int, Tensor};

use super::block::MixerShape;
use super::blockwise::window_attention;
use super::context::{Geometry, Packed, signed};
use super::rms_norm::to_dtype;

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
    let q = geometry.by_position.apply(q);
    let k = geometry.by_position.apply(k);
    let window = window.unwrap_or(usize::MAX);
    merge_heads(match &geometry.packed {
        None => window_attention(q, k, v, window),
        Some(packed) => {
            let hidden = hidden(q.dims()[2], window, packed, &q.device());
            attend(q, k, v, hidden)
        }
    })
}

/// Softmax attention with all scores at once, for packed documents; `hidden` marks the keys a query must not see.
fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, hidden: Tensor<4, Bool>) -> Tensor<4> {
    let (scale, dtype) = ((q.dims()[3] as f64).powf(-0.5), q.dtype());
    let scores = q.matmul(k.swap_dims(2, 3)).cast(FloatDType::F32) * scale;
    let [batch, heads, rows, columns] = scores.dims();
    let scores = scores.mask_fill(hidden.expand([batch, heads, rows, columns]), f32::NEG_INFINITY);
    to_dtype(softmax(scores, 3), dtype).matmul(v)
}

/// Marks the keys that a query must not see: [batch, 1, seq, seq].
fn hidden(seq: usize, window: usize, packed: &Packed, device: &Device) -> Tensor<4, Bool> {
    let positions = Tensor::<1, Int>::arange(0..signed(seq), device);
    let back = positions.clone().unsqueeze_dim::<2>(1) - positions.unsqueeze_dim::<2>(0);
    let far = back.clone().greater_elem(signed(window.min(seq)));
    let hidden = back.lower_elem(0).bool_or(far).unsqueeze::<4>();
    let rows = packed.document.clone().unsqueeze_dim::<3>(2);
    let columns = packed.document.clone().unsqueeze_dim::<3>(1);
    let other = rows.not_equal(columns).unsqueeze_dim::<4>(1);
    hidden.expand(other.shape()).bool_or(other)
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

//! The channels of a tensor as heads, and back.

use burn::tensor::Tensor;

use crate::model::config::MixerShape;

/// Divides the channels into heads: [batch, seq, width] to [batch, heads, seq, `head_dim`].
pub(super) fn split_heads(x: Tensor<3>, shape: &MixerShape) -> Tensor<4> {
    let [batch, seq, width] = x.dims();
    x.reshape([batch, seq, width / shape.head_dim, shape.head_dim]).swap_dims(1, 2)
}

/// Joins the heads again: [batch, heads, seq, `head_dim`] to [batch, seq, width].
pub(super) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, seq, head_dim] = x.dims();
    x.swap_dims(1, 2).reshape([batch, seq, heads * head_dim])
}

//! Both passes of softmax attention, tile by tile.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType};

use super::mask::{AttentionMask, RowGroup, Tile};
use super::softmax::{RawScores, SoftmaxKernels};
use crate::kernels::slices::{assign, cast, concat, slice, sum};

/// What the forward pass computes.
#[derive(Clone, Debug)]
pub(super) struct Attended<B: Backend> {
    /// The output, [batch, heads, seq, `head_dim`].
    pub(super) out: FloatTensor<B>,
    /// The logarithm of each query's softmax sum, in f32: [batch, heads, seq, 1].
    logs: FloatTensor<B>,
}

/// What the forward pass keeps for the backward pass.
#[derive(Clone, Debug)]
pub(super) struct Saved<B: Backend> {
    pub(super) q: FloatTensor<B>,
    pub(super) k: FloatTensor<B>,
    pub(super) v: FloatTensor<B>,
    pub(super) attended: Attended<B>,
}

/// Computes the output for queries, keys and values.
pub(super) fn forward<B: SoftmaxKernels>(
    qkv: [&FloatTensor<B>; 3],
    mask: AttentionMask<B>,
) -> Attended<B> {
    let (mut outs, mut logs) = (Vec::new(), Vec::new());
    for RowGroup { rows, mask } in mask.row_groups(qkv[0].shape()[0]) {
        let qkv = qkv.map(|tensor| slice::<B>(tensor, 0, &rows));
        let group = forward_group::<B>(&qkv, &mask);
        outs.push(group.out);
        logs.push(group.logs);
    }
    Attended { out: concat::<B>(outs, 0), logs: concat::<B>(logs, 0) }
}

fn forward_group<B: SoftmaxKernels>(
    [q, k, v]: &[FloatTensor<B>; 3],
    mask: &AttentionMask<B>,
) -> Attended<B> {
    let [batch, heads, seq, _] = q.shape().dims();
    let (keys, values) = (mask.shared(k), mask.shared(v));
    let (mut outs, mut logs) = (Vec::new(), Vec::new());
    for tile in mask.tiles(batch * heads, seq) {
        let raw = raw_scores::<B>(&slice::<B>(q, 2, &tile.queries), k, &keys, &tile, mask);
        let (weights, tile_logs) = B::weights(raw, q.dtype());
        logs.push(tile_logs);

        let count = tile.keys.len();
        let own = mask.has_own_key().then(|| {
            let weight = slice::<B>(&weights, 3, &(count..count + 1));
            B::float_mul(weight, slice::<B>(v, 2, &tile.queries))
        });
        let others = (count > 0).then(|| {
            let weights = slice::<B>(&weights, 3, &(0..count));
            B::float_matmul(weights, slice::<B>(&values, 2, &tile.keys))
        });
        outs.extend(sum::<B>(others, own));
    }
    Attended { out: concat::<B>(outs, 2), logs: concat::<B>(logs, 2) }
}

/// Computes the derivatives by queries, keys and values.
pub(super) fn backward<B: SoftmaxKernels>(
    saved: &Saved<B>,
    grad: &FloatTensor<B>,
    mask: AttentionMask<B>,
) -> [FloatTensor<B>; 3] {
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for RowGroup { rows, mask } in mask.row_groups(grad.shape()[0]) {
        let rows = |tensor: &FloatTensor<B>| slice::<B>(tensor, 0, &rows);
        let Saved { q, k, v, attended } = saved;
        let attended = Attended { out: rows(&attended.out), logs: rows(&attended.logs) };
        let group = Saved { q: rows(q), k: rows(k), v: rows(v), attended };
        for (all, slope) in found.iter_mut().zip(backward_group::<B>(&group, &rows(grad), &mask)) {
            all.push(slope);
        }
    }
    found.map(|slopes| concat::<B>(slopes, 0))
}

fn backward_group<B: SoftmaxKernels>(
    Saved { q, k, v, attended: Attended { out, logs } }: &Saved<B>,
    grad: &FloatTensor<B>,
    mask: &AttentionMask<B>,
) -> [FloatTensor<B>; 3] {
    let [batch, heads, seq, _] = q.shape().dims();
    let (device, dtype) = (q.device(), q.dtype());
    let (keys, values) = (mask.shared(k), mask.shared(v));
    // Several tiles add to one key, so these sums are kept in f32.
    let empty = || B::float_zeros(keys.shape(), &device, FloatDType::F32);
    let (mut by_keys, mut by_values) = (empty(), empty());
    let (mut by_q, mut by_own_k, mut by_own_v) = (Vec::new(), Vec::new(), Vec::new());
    for tile in mask.tiles(batch * heads, seq) {
        let count = tile.keys.len();
        let [q, out, logs, grad] =
            [q, out, logs, grad].map(|tensor| slice::<B>(tensor, 2, &tile.queries));
        let raw = raw_scores::<B>(&q, k, &keys, &tile, mask);

        let dot = |a: &FloatTensor<B>, b: &FloatTensor<B>| {
            let product = B::float_mul(a.clone(), b.clone());
            B::float_sum_dim(cast::<B>(product, DType::F32), 3)
        };
        let (tile_keys, tile_values) =
            (slice::<B>(&keys, 2, &tile.keys), slice::<B>(&values, 2, &tile.keys));
        let own = mask
            .has_own_key()
            .then(|| cast::<B>(dot(&grad, &slice::<B>(v, 2, &tile.queries)), dtype));
        let others = (count > 0).then(|| {
            let values = B::float_swap_dims(tile_values, 2, 3);
            B::float_matmul(grad.clone(), values)
        });
        let by_weights = concat::<B>(others.into_iter().chain(own).collect(), 3);
        let (weights, by_scores) = B::slopes(raw, logs, by_weights, dot(&grad, &out));

        let own = mask.has_own_key().then(|| {
            let weight = slice::<B>(&weights, 3, &(count..count + 1));
            let slope = slice::<B>(&by_scores, 3, &(count..count + 1));
            by_own_v.push(B::float_mul(weight, grad.clone()));
            by_own_k.push(B::float_mul(slope.clone(), q.clone()));
            B::float_mul(slope, slice::<B>(k, 2, &tile.queries))
        });
        let mut others = None;
        if count > 0 {
            let weights = slice::<B>(&weights, 3, &(0..count));
            let slopes = slice::<B>(&by_scores, 3, &(0..count));
            by_values = add_product::<B>(by_values, &tile, &weights, grad);
            by_keys = add_product::<B>(by_keys, &tile, &slopes, q);
            others = Some(B::float_matmul(slopes, tile_keys));
        }
        by_q.extend(sum::<B>(others, own));
    }
    let by_q = concat::<B>(by_q, 2);
    let [by_k, by_v] = [(by_keys, by_own_k), (by_values, by_own_v)].map(|(shared, own)| {
        let shared = cast::<B>(shared, dtype);
        if own.is_empty() { shared } else { mask.add_shared(concat::<B>(own, 2), shared) }
    });
    [by_q, by_k, by_v]
}

/// Adds `left`ᵀ · `right` to the tile's keys in a sum. The sum is consumed, so that it is changed
/// in place.
fn add_product<B: Backend>(
    sum: FloatTensor<B>,
    tile: &Tile,
    left: &FloatTensor<B>,
    right: FloatTensor<B>,
) -> FloatTensor<B> {
    let left = B::float_swap_dims(left.clone(), 2, 3);
    let more = cast::<B>(B::float_matmul(left, right), DType::F32);
    let more = B::float_add(slice::<B>(&sum, 2, &tile.keys), more);
    assign::<B>(sum, 2, &tile.keys, more)
}

/// Computes the products of a tile's queries and keys in f32. The last column is the product with each
/// query's own key, where the mask has one.
fn raw_scores<B: Backend>(
    q: &FloatTensor<B>,
    k: &FloatTensor<B>,
    keys: &FloatTensor<B>,
    tile: &Tile,
    mask: &AttentionMask<B>,
) -> RawScores<B> {
    let others = (!tile.keys.is_empty()).then(|| {
        let keys = B::float_swap_dims(slice::<B>(keys, 2, &tile.keys), 2, 3);
        cast::<B>(B::float_matmul(q.clone(), keys), DType::F32)
    });
    let own = mask.has_own_key().then(|| {
        let product = B::float_mul(q.clone(), slice::<B>(k, 2, &tile.queries));
        B::float_sum_dim(cast::<B>(product, DType::F32), 3)
    });
    RawScores {
        products: concat::<B>(others.into_iter().chain(own).collect(), 3),
        hidden: (!tile.keys.is_empty()).then(|| mask.hidden(tile, &q.device())),
        scale: (q.shape()[3] as f64).powf(-0.5),
    }
}

//! The loss in tensor operations, by blocks of tokens: the form of GPUs, and the slow twin of the CPU's.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{DType, FloatDType, IndexingUpdateOp, Shape, Slice};
use ratdata_schemas::IGNORE_INDEX;

use super::loss_and_slopes::LossAndSlopes;
use crate::kernels::slices::{cast, concat};

/// How many logits are in memory at a time, at most: 128 MiB in f32. Tests take so few that
/// several blocks are needed.
pub(super) const LOGITS_AT_A_TIME: usize = if cfg!(test) { 1 << 8 } else { 1 << 25 };

/// Computes the loss and, with `slopes`, its derivatives.
pub(super) fn loss<B: Backend>(
    hidden: &FloatTensor<B>,
    embedding: &FloatTensor<B>,
    labels: &IntTensor<B>,
    slopes: bool,
) -> LossAndSlopes<B> {
    let [tokens, width] = hidden.shape().dims();
    let [vocab, _] = embedding.shape().dims();
    let (device, dtype) = (hidden.device(), hidden.dtype());
    let bool_dtype = get_or_init_device_settings::<B>(&device).bool_dtype;
    let zeros = |shape: Shape| B::float_zeros(shape, &device, FloatDType::F32);
    let mut nll = zeros(Shape::from([1]));
    let mut all_by_hidden = Vec::new();
    let mut by_embedding = zeros(Shape::from(if slopes { [vocab, width] } else { [1, 1] }));
    let weights = cast::<B>(embedding.clone(), dtype);
    let count = (LOGITS_AT_A_TIME / vocab).clamp(1, tokens.max(1));
    for start in (0..tokens).step_by(count) {
        let end = (start + count).min(tokens);
        let hidden = B::float_slice(hidden.clone(), &rows(start, end, width));
        let labels = B::int_slice(labels.clone(), &rows(start, end, 1));
        let ignored = B::int_equal_elem(labels.clone(), i64::from(IGNORE_INDEX).into(), bool_dtype);
        let target = B::int_mask_fill(labels, ignored.clone(), 0.into());

        let transposed = B::float_swap_dims(weights.clone(), 0, 1);
        let logits = cast::<B>(B::float_matmul(hidden.clone(), transposed), DType::F32);
        let (sum, by_logits) = softmax_loss::<B>(logits, target, ignored, slopes);
        nll = B::float_add(nll, sum);
        let Some(by_logits) = by_logits else { continue };
        let by_logits = cast::<B>(by_logits, dtype);
        all_by_hidden.push(B::float_matmul(by_logits.clone(), weights.clone()));
        let more = B::float_matmul(B::float_swap_dims(by_logits, 0, 1), hidden);
        by_embedding = B::float_add(by_embedding, cast::<B>(more, DType::F32));
    }
    let slopes = slopes.then(|| [concat::<B>(all_by_hidden, 0), by_embedding]);
    LossAndSlopes { nll, slopes }
}

fn rows(start: usize, end: usize, width: usize) -> [Slice; 2] {
    [Slice::from(start..end), Slice::from(0..width)]
}

/// Sums the negative log-likelihoods and, with `slopes`, computes the derivative of the sum by the
/// logits: the softmax less 1 at the label, and 0 where the label is ignored.
///
/// # Shapes
/// `logits`: [tokens, vocabulary], `target` and `ignored`: [tokens, 1], outputs: `[1]` and
/// [tokens, vocabulary].
fn softmax_loss<B: Backend>(
    logits: FloatTensor<B>,
    target: IntTensor<B>,
    ignored: BoolTensor<B>,
    slopes: bool,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let (device, [tokens, _]) = (logits.device(), logits.shape().dims());
    let picked = B::float_gather(1, logits.clone(), target.clone());
    let highest = B::float_max_dim(logits.clone(), 1);
    let powers = B::float_exp(B::float_sub(logits, highest.clone()));
    let total = B::float_sum_dim(powers.clone(), 1);
    let nll = B::float_sub(B::float_add(highest, B::float_log(total.clone())), picked);
    let nll = B::float_mask_fill(nll, ignored.clone(), 0.0_f32.into());
    let sum = B::float_reshape(B::float_sum(nll), Shape::from([1]));
    if !slopes {
        return (sum, None);
    }
    let ones = B::float_ones(Shape::from([tokens, 1]), &device, FloatDType::F32);
    let counted = B::float_mask_fill(ones, ignored, 0.0_f32.into());
    let by_logits = B::float_mul(powers, B::float_div(counted.clone(), total));
    let less = B::float_neg(counted);
    (sum, Some(B::float_scatter(1, by_logits, target, less, IndexingUpdateOp::Add)))
}

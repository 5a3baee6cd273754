//! The loss by blocks of tokens: the form of GPUs, whose softmax is a kernel, and in tensor operations the slow
//! twin of the kernels.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{DType, FloatDType, IndexingUpdateOp, Shape, Slice};
use ratdata_schemas::IGNORE_INDEX;

use super::loss_and_slopes::LossAndSlopes;
use crate::kernels::slices::{cast, concat};

/// How many logits are in memory at a time, at most. Tests take so few that several blocks are needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogitsAtATime(usize);

impl LogitsAtATime {
    /// 128 MiB in f32.
    pub(super) const CPU: Self = Self(if cfg!(test) { 1 << 8 } else { 1 << 25 });

    /// 512 MiB in bf16: each block reads and writes the derivative by the whole embedding.
    #[cfg(feature = "cube")]
    pub(super) const GPU: Self = Self(if cfg!(test) { 1 << 8 } else { 1 << 28 });

    pub(super) fn get(self) -> usize {
        self.0
    }
}

/// What a backend makes of the logits of a block: [`softmax_loss`] or a kernel.
pub(super) type SoftmaxLoss<B> =
    fn(FloatTensor<B>, IntTensor<B>, bool) -> (FloatTensor<B>, Option<FloatTensor<B>>);

/// Computes the loss and, with `slopes`, its derivatives, in blocks of so many logits.
pub(super) fn loss<B: Backend>(
    hidden: &FloatTensor<B>,
    embedding: &FloatTensor<B>,
    labels: &IntTensor<B>,
    slopes: bool,
    (logits_at_a_time, softmax_loss): (LogitsAtATime, SoftmaxLoss<B>),
) -> LossAndSlopes<B> {
    let [tokens, width] = hidden.shape().dims();
    let [vocab, _] = embedding.shape().dims();
    let (device, dtype) = (hidden.device(), hidden.dtype());
    let zeros = |shape: Shape| B::float_zeros(shape, &device, FloatDType::F32);
    let mut nll = zeros(Shape::from([1]));
    let mut all_by_hidden = Vec::new();
    let mut by_embedding = zeros(Shape::from(if slopes { [vocab, width] } else { [1, 1] }));
    let weights = cast::<B>(embedding.clone(), dtype);
    let count = (logits_at_a_time.get() / vocab).clamp(1, tokens.max(1));
    for start in (0..tokens).step_by(count) {
        let end = (start + count).min(tokens);
        let hidden = B::float_slice(hidden.clone(), &rows(start, end, width));
        let labels = B::int_slice(labels.clone(), &rows(start, end, 1));

        let transposed = B::float_swap_dims(weights.clone(), 0, 1);
        let logits = B::float_matmul(hidden.clone(), transposed);
        let (sum, by_logits) = softmax_loss(logits, labels, slopes);
        nll = B::float_add(nll, sum);
        let Some(by_logits) = by_logits else { continue };
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

/// Computes [`LossKernels::softmax_loss`] in tensor operations.
pub(super) fn softmax_loss<B: Backend>(
    logits: FloatTensor<B>,
    labels: IntTensor<B>,
    slopes: bool,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let (device, dtype, [tokens, _]) = (logits.device(), logits.dtype(), logits.shape().dims());
    let bool_dtype = get_or_init_device_settings::<B>(&device).bool_dtype;
    let ignored = B::int_equal_elem(labels.clone(), i64::from(IGNORE_INDEX).into(), bool_dtype);
    let target = B::int_mask_fill(labels, ignored.clone(), 0.into());
    let logits = cast::<B>(logits, DType::F32);
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
    let by_logits = B::float_scatter(1, by_logits, target, less, IndexingUpdateOp::Add);
    (sum, Some(cast::<B>(by_logits, dtype)))
}

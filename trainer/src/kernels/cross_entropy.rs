//! The tied output layer and its loss in one operation, by blocks of tokens.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, FlexDevice, TensorMetadata, backend_extension,
    get_or_init_device_settings,
};
use burn::tensor::{DType, FloatDType, IndexingUpdateOp, Int, Shape, Slice, Tensor, TensorData};
use ratdata_schemas::IGNORE_INDEX;
use rayon::prelude::*;

use super::slices::{cast, concat};
use crate::convert::rounded;

/// How many logits are in memory at a time, at most: 128 MiB in f32. Tests take so few that
/// several blocks are needed.
const LOGITS_AT_A_TIME: usize = if cfg!(test) { 1 << 8 } else { 1 << 25 };

/// The backends that compute the loss: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait LossBackend: Backend {
    /// Computes [`tied_cross_entropy`] on a backend's own tensors.
    fn tied_cross_entropy(
        hidden: FloatTensor<Self>,
        embedding: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Sums the negative log-likelihood of the labels under softmax(`hidden` · `embedding`ᵀ).
///
/// Labels of [`IGNORE_INDEX`] count for nothing.
///
/// The logits of all tokens together are never in memory. Each block of tokens adds its part of
/// the loss and, where derivatives are wanted, its part of the derivatives: the derivative of a
/// sum needs nothing of the other blocks.
///
/// # Shapes
/// `hidden`: [tokens, `d_model`], `embedding`: [`vocab_size`, `d_model`], `labels`: [tokens, 1],
/// output: `[1]`.
pub(crate) fn tied_cross_entropy(
    hidden: Tensor<2>,
    embedding: Tensor<2>,
    labels: Tensor<2, Int>,
) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as LossBackend>::tied_cross_entropy(
        hidden.into_dispatch(),
        embedding.into_dispatch(),
        labels.into_dispatch(),
    ))
}

macro_rules! loss_on {
    ($backend:ty) => {
        impl LossBackend for $backend {
            fn tied_cross_entropy(
                hidden: FloatTensor<Self>,
                embedding: FloatTensor<Self>,
                labels: IntTensor<Self>,
            ) -> FloatTensor<Self> {
                compute::<Self>(&hidden, &embedding, &labels, false).nll
            }
        }
    };
}

loss_on!(Flex);
#[cfg(feature = "cube")]
loss_on!(burn::backend::Cube);

/// What a backend computes from a block's logits.
pub(crate) trait LossKernels: Backend {
    /// Sums the negative log-likelihoods and, with `slopes`, computes the derivative of the sum by
    /// the logits: the softmax less 1 at the label, and 0 where the label is ignored.
    ///
    /// # Shapes
    /// `logits`: [tokens, vocabulary], `target` and `ignored`: [tokens, 1], outputs: `[1]` and
    /// [tokens, vocabulary].
    fn softmax_loss(
        logits: FloatTensor<Self>,
        target: IntTensor<Self>,
        ignored: BoolTensor<Self>,
        slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        plain_softmax_loss::<Self>(logits, target, ignored, slopes)
    }
}

#[cfg(feature = "cube")]
impl LossKernels for burn::backend::Cube {}

impl LossKernels for Flex {
    /// Makes all passes over a row while it is in the cache; threads share the rows.
    fn softmax_loss(
        mut logits: FloatTensor<Self>,
        target: IntTensor<Self>,
        ignored: BoolTensor<Self>,
        slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let vocab = logits.layout().shape()[1];
        if logits.dtype() != DType::F32 || !logits.is_contiguous() || vocab == 0 {
            return plain_softmax_loss::<Self>(logits, target, ignored, slopes);
        }
        let (target, ignored) = (target.to_contiguous(), ignored.to_contiguous());
        let target = target.into_data().iter::<i64>().collect::<Vec<_>>();
        let ignored = ignored.into_data().iter::<bool>().collect::<Vec<_>>();
        let start = logits.layout().start_offset();
        let values: &mut [f32] = logits.storage_mut();
        let rows = values[start..].par_chunks_mut(vocab).zip(target).zip(ignored);
        let nll: Vec<f64> = rows
            .map(|((row, target), ignored)| {
                if ignored {
                    row.fill(0.0);
                    return 0.0;
                }
                // A label outside the vocabulary makes the loss NaN, which ends the run.
                let label = usize::try_from(target).ok().filter(|&label| label < row.len());
                let picked = label.map_or(f32::NAN, |label| row[label]);
                let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut total = 0.0_f64;
                for block in row.chunks_mut(256) {
                    for value in &mut *block {
                        *value = (*value - highest).exp();
                    }
                    total += f64::from(block.iter().sum::<f32>());
                }
                if slopes {
                    let factor = rounded(1.0 / total);
                    for value in &mut *row {
                        *value *= factor;
                    }
                    if let Some(label) = label {
                        row[label] -= 1.0;
                    }
                }
                f64::from(highest) + total.ln() - f64::from(picked)
            })
            .collect();
        let sum = TensorData::new(vec![rounded(nll.iter().sum())], [1]);
        (Self::float_from_data(sum, &FlexDevice), slopes.then_some(logits))
    }
}

fn plain_softmax_loss<B: Backend>(
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

#[derive(Debug)]
struct TiedCrossEntropy;

impl<B: LossKernels> Backward<B, 2> for TiedCrossEntropy {
    /// The derivatives of the sum by hidden vectors and by the embedding.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = B::float_reshape(grads.consume::<B>(&ops.node), Shape::from([1, 1]));
        for (node, slope) in ops.parents.into_iter().zip(ops.state) {
            if let Some(node) = node {
                let grad = cast::<B>(grad.clone(), slope.dtype());
                grads.register::<B>(node.id, B::float_mul(slope, grad));
            }
        }
    }
}

impl<B: LossKernels, C: CheckpointStrategy> LossBackend for Autodiff<B, C> {
    fn tied_cross_entropy(
        hidden: FloatTensor<Self>,
        embedding: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [hidden.node(), embedding.node()];
        let (hidden, embedding) = (hidden.into_primitive(), embedding.into_primitive());
        match TiedCrossEntropy.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let loss = compute::<B>(&hidden, &embedding, &labels, true);
                let by_hidden = concat::<B>(loss.by_hidden, 0);
                prep.finish([by_hidden, loss.by_embedding], loss.nll)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(compute::<B>(&hidden, &embedding, &labels, false).nll)
            }
        }
    }
}

/// The loss of all tokens, and its derivatives where they are wanted.
struct LossAndSlopes<B: Backend> {
    nll: FloatTensor<B>,
    by_hidden: Vec<FloatTensor<B>>,
    by_embedding: FloatTensor<B>,
}

fn compute<B: LossKernels>(
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
    let mut loss = LossAndSlopes::<B> {
        nll: zeros(Shape::from([1])),
        by_hidden: Vec::new(),
        by_embedding: zeros(Shape::from(if slopes { [vocab, width] } else { [1, 1] })),
    };
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
        let (sum, by_logits) = B::softmax_loss(logits, target, ignored, slopes);
        loss.nll = B::float_add(loss.nll, sum);
        let Some(by_logits) = by_logits else { continue };
        let by_logits = cast::<B>(by_logits, dtype);
        loss.by_hidden.push(B::float_matmul(by_logits.clone(), weights.clone()));
        let more = B::float_matmul(B::float_swap_dims(by_logits, 0, 1), hidden);
        loss.by_embedding = B::float_add(loss.by_embedding, cast::<B>(more, DType::F32));
    }
    loss
}

fn rows(start: usize, end: usize, width: usize) -> [Slice; 2] {
    [Slice::from(start..end), Slice::from(0..width)]
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::device::test_device;

    #[test]
    fn the_loop_over_rows_is_the_plain_form() {
        let values: Vec<f32> = (0..5 * 300).map(|i| ((i * i) as f32 * 0.37).sin() * 4.0).collect();
        let logits = Flex::float_from_data(TensorData::new(values, [5, 300]), &FlexDevice);
        let labels: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(vec![3_i64, 0, 299, 0, 7], [5, 1]), &Device::flex());
        let target = labels.clone().try_into_primitive::<Flex>().unwrap();
        let ignored = labels.equal_elem(0).try_into_primitive::<Flex>().unwrap();

        let (sum, slopes) =
            Flex::softmax_loss(logits.clone(), target.clone(), ignored.clone(), true);
        let (expected, expected_slopes) = plain_softmax_loss::<Flex>(logits, target, ignored, true);

        let floats = |tensor: FloatTensor<Flex>| tensor.into_data().iter::<f32>().collect();
        let (sum, expected): (Vec<f32>, Vec<f32>) = (floats(sum), floats(expected));
        assert!((sum[0] / expected[0] - 1.0).abs() < 1e-6);
        let (found, expected): (Vec<f32>, Vec<f32>) =
            (floats(slopes.unwrap()), floats(expected_slopes.unwrap()));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn the_loss_and_its_derivatives_are_those_of_the_logits() {
        let device = test_device().unwrap().autodiff();
        let draw = |shape: [usize; 2]| {
            let spread = Distribution::Uniform(-1.0, 1.0);
            Tensor::<2>::random(shape, spread, &device).require_grad()
        };
        // So large a vocabulary that the tokens take three blocks.
        let vocab = LOGITS_AT_A_TIME / 3;
        let (hidden, embedding) = (draw([7, 5]), draw([vocab, 5]));
        let ignore = i64::from(IGNORE_INDEX);
        let labels: Vec<i64> = vec![3, ignore, 5, 3, ignore, 6, 40];
        let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [7, 1]), &device);

        let fast = tied_cross_entropy(hidden.clone(), embedding.clone(), labels.clone());
        let ignored = labels.clone().equal_elem(ignore);
        let logs = log_softmax(hidden.clone().matmul(embedding.clone().transpose()), 1);
        let picked = logs.gather(1, labels.mask_fill(ignored.clone(), 0));
        let slow = picked.mask_fill(ignored, 0.0).sum().neg();

        let error = (fast.clone() - slow.clone()).abs().into_scalar::<f32>();
        assert!(error < 1e-3, "{error}");
        let (by_fast, by_slow) = ((fast * 0.5).backward(), (slow * 0.5).backward());
        for input in [hidden, embedding] {
            let (found, expected) = (input.grad(&by_fast), input.grad(&by_slow));
            let error = (found.unwrap() - expected.unwrap()).abs().max().into_scalar::<f32>();
            assert!(error < 1e-4, "{error}");
        }
    }
}

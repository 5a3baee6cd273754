//! The tied output layer and its loss in one operation, by blocks of tokens.

#[cfg(feature = "cube")]
mod cube;
mod flex;
mod loss_and_slopes;
mod plain;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Int, Shape, Tensor};

use self::loss_and_slopes::LossAndSlopes;
use self::plain::LogitsAtATime;
use super::slices::cast;

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
                Self::loss(&hidden, &embedding, &labels, false).nll
            }
        }
    };
}

loss_on!(Flex);
#[cfg(feature = "cube")]
loss_on!(burn::backend::Cube);

/// What a backend computes: the loss of all tokens, and its derivatives where they are wanted.
pub(crate) trait LossKernels: Backend {
    /// How large the blocks of [`plain::loss`] are.
    const LOGITS_AT_A_TIME: LogitsAtATime = LogitsAtATime::CPU;

    /// Computes the loss and, with `slopes`, its derivatives.
    fn loss(
        hidden: &FloatTensor<Self>,
        embedding: &FloatTensor<Self>,
        labels: &IntTensor<Self>,
        slopes: bool,
    ) -> LossAndSlopes<Self> {
        Self::loss_by_blocks(hidden, embedding, labels, slopes)
    }

    /// Computes the same in products of the backend, block by block.
    fn loss_by_blocks(
        hidden: &FloatTensor<Self>,
        embedding: &FloatTensor<Self>,
        labels: &IntTensor<Self>,
        slopes: bool,
    ) -> LossAndSlopes<Self> {
        let blocks = (Self::LOGITS_AT_A_TIME, Self::softmax_loss as plain::SoftmaxLoss<Self>);
        plain::loss::<Self>(hidden, embedding, labels, slopes, blocks)
    }

    /// Sums the negative log-likelihoods and, with `slopes`, computes the derivative of the sum by the
    /// logits, in their type: the softmax less 1 at the label, and 0 where the label is ignored.
    ///
    /// # Shapes
    /// `logits`: [tokens, vocabulary], `labels`: [tokens, 1], outputs: `[1]` and [tokens, vocabulary].
    fn softmax_loss(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        slopes: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        plain::softmax_loss::<Self>(logits, labels, slopes)
    }
}

#[derive(Debug)]
struct TiedCrossEntropy;

impl<B: LossKernels> Backward<B, 2> for TiedCrossEntropy {
    /// The derivatives of the sum by hidden vectors and by the embedding.
    type State = Option<[FloatTensor<B>; 2]>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = B::float_reshape(grads.consume::<B>(&ops.node), Shape::from([1, 1]));
        for (node, slope) in ops.parents.into_iter().zip(ops.state.into_iter().flatten()) {
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
                let loss = B::loss(&hidden, &embedding, &labels, true);
                prep.finish(loss.slopes, loss.nll)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::loss(&hidden, &embedding, &labels, false).nll)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use burn::tensor::TensorData;
    use burn::tensor::activation::log_softmax;
    use ratdata_schemas::IGNORE_INDEX;

    use super::*;
    use crate::device::test_device;

    #[test]
    fn the_loss_and_its_derivatives_are_those_of_the_logits() {
        let device = test_device().unwrap().autodiff();
        let draw = |shape: [usize; 2]| {
            let spread = Distribution::Uniform(-1.0, 1.0);
            Tensor::<2>::random(shape, spread, &device).require_grad()
        };
        // So large a vocabulary that the plain form's tokens take three blocks.
        let vocab = LogitsAtATime::CPU.get() / 3;
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

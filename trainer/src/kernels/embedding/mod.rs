//! The embedding: rows by ids, and a backward pass whose sums have one order.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Int, Tensor};

use super::slices::cast;

/// The backends that look up rows: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait EmbeddingBackend: Backend {
    /// Runs [`embed`] on a backend's own tensors.
    fn embed(embedding: FloatTensor<Self>, ids: IntTensor<Self>, dtype: DType)
    -> FloatTensor<Self>;
}

/// Returns the row of each id, in a type.
///
/// # Shapes
/// `embedding`, in f32: [`vocab_size`, `d_model`], `ids`: `[tokens]`, output: [tokens, `d_model`].
pub(crate) fn embed(embedding: Tensor<2>, ids: Tensor<1, Int>, dtype: DType) -> Tensor<2> {
    let (embedding, ids) = (embedding.into_dispatch(), ids.into_dispatch());
    Tensor::from_dispatch(<Dispatch as EmbeddingBackend>::embed(embedding, ids, dtype))
}

/// The backward pass that a backend implements.
pub(crate) trait EmbeddingKernels: Backend {
    /// Adds up the derivatives of the tokens of each id, first to last, in f32: [`rows`, `d_model`].
    fn by_embedding(
        ids: IntTensor<Self>,
        grad: FloatTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self>;
}

macro_rules! embed_on {
    ($backend:ty) => {
        impl EmbeddingBackend for $backend {
            fn embed(
                embedding: FloatTensor<Self>,
                ids: IntTensor<Self>,
                dtype: DType,
            ) -> FloatTensor<Self> {
                look_up::<Self>(embedding, ids, dtype)
            }
        }
    };
}

embed_on!(Flex);
#[cfg(feature = "cube")]
embed_on!(burn::backend::Cube);

fn look_up<B: Backend>(
    embedding: FloatTensor<B>,
    ids: IntTensor<B>,
    dtype: DType,
) -> FloatTensor<B> {
    cast::<B>(B::float_select(embedding, 0, ids), dtype)
}

#[derive(Debug)]
struct Embed {
    rows: usize,
}

impl<B: EmbeddingKernels> Backward<B, 1> for Embed {
    /// The ids.
    type State = IntTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::by_embedding(ops.state, grad, self.rows));
        }
    }
}

impl<B: EmbeddingKernels, C: CheckpointStrategy> EmbeddingBackend for Autodiff<B, C> {
    fn embed(
        embedding: FloatTensor<Self>,
        ids: IntTensor<Self>,
        dtype: DType,
    ) -> FloatTensor<Self> {
        let nodes = [embedding.node()];
        let embedding = embedding.into_primitive();
        let operation = Embed { rows: embedding.shape()[0] };
        let out = look_up::<B>(embedding, ids.clone(), dtype);
        match operation.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(ids, out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, FloatDType, TensorData};

    use super::*;
    use crate::device::test_device;

    /// The operation in Burn's: the slow twin of the kernels.
    fn plain(embedding: Tensor<2>, ids: Tensor<1, Int>, dtype: DType) -> Tensor<2> {
        embedding.select(0, ids).cast(FloatDType::from(dtype))
    }

    #[test]
    fn rows_and_slopes_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let spread = Distribution::Uniform(-1.0, 1.0);
        for (tokens, vocab, width) in [(1, 1, 1), (7, 3, 5), (300, 1000, 33), (513, 7, 128)] {
            let ids = (0..tokens).map(|token: i64| token * token * 31 % vocab);
            let ids = TensorData::new(ids.collect::<Vec<_>>(), [usize::try_from(tokens).unwrap()]);
            let ids = Tensor::<1, Int>::from_data(ids, &device);
            let vocab = usize::try_from(vocab).unwrap();
            let embedding = Tensor::<2>::random([vocab, width], spread, &device).require_grad();
            for dtype in [DType::F32, DType::BF16] {
                if !device.supports_dtype(dtype) {
                    println!("{device:?} has no {dtype:?}: not tested there");
                    continue;
                }
                let fast = embed(embedding.clone(), ids.clone(), dtype);
                let slow = plain(embedding.clone(), ids.clone(), dtype);

                let cotangent = Tensor::<2>::random(fast.dims(), spread, &device);
                let cotangent = cotangent.cast(FloatDType::from(dtype));
                let (found, expected) = (fast.to_data(), slow.to_data());
                found.assert_eq(&expected, true);
                let by_fast = (fast * cotangent.clone()).sum().backward();
                let by_slow = (slow * cotangent).sum().backward();
                let found = embedding.grad(&by_fast).unwrap();
                assert_eq!(found.dtype(), DType::F32);
                let off = found - embedding.grad(&by_slow).unwrap();
                let off = off.abs().max().into_scalar::<f32>();
                assert!(off < 1e-4, "{tokens}, {vocab}, {width}, {dtype:?}: {off}");
            }
        }
    }
}

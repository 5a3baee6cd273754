//! An operation with several outputs, in Burn's graph of derivatives, where each operation has one.
//!
//! The operation itself is a node whose value nobody reads. Each output is a node that depends on it, and whose
//! backward pass leaves its derivative for the operation, which comes later in the graph's order.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::Backend;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata};
use burn::tensor::{FloatDType, Shape};

/// The derivatives by the outputs of an operation, by their numbers, which its backward pass takes.
#[derive(Debug)]
pub(super) struct OutputSlopes<B: Backend, const N: usize>(Arc<Mutex<[Option<FloatTensor<B>>; N]>>);

impl<B: Backend, const N: usize> Clone for OutputSlopes<B, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Backend, const N: usize> OutputSlopes<B, N> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new([const { None }; N])))
    }

    /// Takes the derivatives; those by outputs that the loss does not depend on are absent.
    pub(super) fn take(&self) -> [Option<FloatTensor<B>>; N] {
        let mut slopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slopes, [const { None }; N])
    }

    /// Leaves the derivative by an output, and returns whether it is the first one.
    fn leave(&self, number: usize, slope: FloatTensor<B>) -> bool {
        let mut slopes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = slopes.iter().all(Option::is_none);
        slopes[number] = Some(slope);
        is_first
    }
}

/// Makes the value of an operation's own node, on the device of a tensor.
pub(super) fn unread<B: Backend>(like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_empty(Shape::from([1]), &like.device(), FloatDType::F32)
}

/// Makes the node of an output, of its number and value, that depends on the operation's own node.
pub(super) fn output<B: Backend, C: CheckpointStrategy, const N: usize>(
    operation: &FloatTensor<Autodiff<B, C>>,
    slopes: &OutputSlopes<B, N>,
    number: usize,
    value: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = [operation.node()];
    match (Output { number }).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let unread = operation.clone().into_primitive();
            prep.finish((slopes.clone(), unread), value)
        }
        OpsKind::UnTracked(prep) => prep.finish(value),
    }
}

#[derive(Debug)]
struct Output<const N: usize> {
    number: usize,
}

impl<B: Backend, const N: usize> Backward<B, 1> for Output<N> {
    /// Where the derivative is left, and the value of the operation's node.
    type State = (OutputSlopes<B, N>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let ((slopes, unread), [node]) = (ops.state, ops.parents);
        let Some(node) = node else { return };
        // The graph wants one gradient of the operation's node; nobody reads it.
        if slopes.leave(self.number, grad) {
            grads.register::<B>(node.id, unread);
        }
    }
}

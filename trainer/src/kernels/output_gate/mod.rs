//! The output gate of recurrent layers: `sigmoid(z) x` in one operation, forward and backward.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// The backends that gate: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait OutputGateBackend: Backend {
    /// Runs [`output_gate`] on a backend's own tensors.
    fn output_gate(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Computes `sigmoid(z) x`, in f32 for inputs of every type.
///
/// # Shapes
/// `z`, `x` and the output, all of one type: [rows, seq, width].
pub(crate) fn output_gate(z: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let (z, x) = (z.into_dispatch(), x.into_dispatch());
    Tensor::from_dispatch(<Dispatch as OutputGateBackend>::output_gate(z, x))
}

/// The two passes that a backend implements: forward and backward.
pub(crate) trait OutputGateKernels: Backend {
    /// Computes the output.
    fn gated(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Computes the derivatives by both inputs, of which `z` has `dy x s (1 - s)` with `s = sigmoid(z)`.
    fn gated_backward(
        z: FloatTensor<Self>,
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
}

macro_rules! gate_on {
    ($backend:ty) => {
        impl OutputGateBackend for $backend {
            fn output_gate(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::gated(z, x)
            }
        }
    };
}

gate_on!(Flex);
#[cfg(feature = "cube")]
gate_on!(burn::backend::Cube);

#[derive(Debug)]
struct OutputGate;

impl<B: OutputGateKernels> Backward<B, 2> for OutputGate {
    /// Both inputs.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [z, x] = ops.state;
        for (node, slope) in ops.parents.into_iter().zip(B::gated_backward(z, x, grad)) {
            if let Some(node) = node {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

impl<B: OutputGateKernels, C: CheckpointStrategy> OutputGateBackend for Autodiff<B, C> {
    fn output_gate(z: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [z.node(), x.node()];
        let (z, x) = (z.into_primitive(), x.into_primitive());
        match OutputGate.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let out = B::gated(z.clone(), x.clone());
                prep.finish([z, x], out)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gated(z, x)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use burn::tensor::activation::sigmoid;

    use super::*;
    use crate::device::test_device;

    #[test]
    fn values_and_slopes_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let spread = Distribution::Uniform(-3.0, 3.0);
        let worst = |a: Tensor<3>, b: Tensor<3>| (a - b).abs().max().into_scalar::<f32>();
        for [rows, seq, width] in [[1, 1, 1], [2, 3, 5], [1, 7, 33], [3, 64, 65], [2, 70, 128]] {
            let draw = |width| Tensor::<3>::random([rows, seq, width], spread, &device);
            let (wide, cotangent) = (draw(4 * width).require_grad(), draw(width));
            // As attention leaves it: channels before time steps.
            let x = Tensor::<3>::random([rows, width, seq], spread, &device).require_grad();
            // A graph of derivatives serves once.
            for first in [0, 2 * width] {
                let inputs = || (wide.clone().narrow(2, first, width), x.clone().swap_dims(1, 2));
                let fast = output_gate(inputs().0, inputs().1);
                let slow = sigmoid(inputs().0) * inputs().1;

                let off = worst(fast.clone(), slow.clone());
                let by_fast = (fast * cotangent.clone()).sum().backward();
                let by_slow = (slow * cotangent.clone()).sum().backward();
                assert!(off < 1e-6, "{seq}, {width}: {off}");
                let off = [&wide, &x].map(|input| {
                    worst(input.grad(&by_fast).unwrap(), input.grad(&by_slow).unwrap())
                });
                assert!(off.iter().all(|&off| off < 2e-6), "{seq}, {width}: {off:?}");
            }
        }
    }
}

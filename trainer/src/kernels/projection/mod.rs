//! The product of rows and a matrix of weights, forward and backward.

mod flex;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// The backends that project: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait ProjectionBackend: Backend {
    /// Runs [`project`] on a backend's own tensors.
    fn project(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Multiplies each row by the weights.
///
/// # Shapes
/// `x`: [rows, in], `weight`: [out, in], output: [rows, out].
pub(crate) fn project(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as ProjectionBackend>::project(x, weight))
}

/// The three products that a backend implements. The forms here are the backend's own products.
pub(crate) trait ProjectionKernels: Backend {
    /// Computes `x` · `weight`ᵀ.
    fn forward(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(x, Self::float_swap_dims(weight, 0, 1))
    }

    /// Computes the derivatives by `x`, which is `grad` · `weight`, and by `weight`, which is `grad`ᵀ · `x`.
    fn backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let by_x = Self::float_matmul(grad.clone(), weight);
        [by_x, Self::float_matmul(Self::float_swap_dims(grad, 0, 1), x)]
    }
}

#[cfg(feature = "cube")]
impl ProjectionKernels for burn::backend::Cube {}

macro_rules! project_on {
    ($backend:ty) => {
        impl ProjectionBackend for $backend {
            fn project(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
                <Self as ProjectionKernels>::forward(x, weight)
            }
        }
    };
}

project_on!(Flex);
#[cfg(feature = "cube")]
project_on!(burn::backend::Cube);

#[derive(Debug)]
struct Projection;

impl<B: ProjectionKernels> Backward<B, 2> for Projection {
    /// Rows and weights.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state;
        let slopes = <B as ProjectionKernels>::backward(x, weight, grad);
        for (node, slope) in ops.parents.into_iter().zip(slopes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

impl<B: ProjectionKernels, C: CheckpointStrategy> ProjectionBackend for Autodiff<B, C> {
    fn project(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match Projection.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let out = <B as ProjectionKernels>::forward(x.clone(), weight.clone());
                prep.finish([x, weight], out)
            }
            OpsKind::UnTracked(prep) => prep.finish(<B as ProjectionKernels>::forward(x, weight)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::test_device;

    #[test]
    fn products_and_slopes_are_those_of_burn() {
        let device = test_device().unwrap().autodiff();
        for [rows, inner, outputs] in
            [[1, 1, 1], [3, 5, 7], [70, 33, 65], [129, 64, 40], [300, 8, 96]]
        {
            let draw = |shape: [usize; 2]| {
                Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), &device)
            };
            let (x, weight) = (draw([rows, inner]), draw([outputs, inner]));
            let (x, weight) = (x.require_grad(), weight.require_grad());
            let cotangent = draw([rows, outputs]);

            let fast = project(x.clone(), weight.clone());
            let slow = x.clone().matmul(weight.clone().transpose());
            let worst = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
            let off = worst(fast.clone(), slow.clone());
            let by_fast = (fast * cotangent.clone()).sum().backward();
            let by_slow = (slow * cotangent).sum().backward();

            assert!(off < 2e-5, "{rows}, {inner}, {outputs}: {off}");
            for input in [x, weight] {
                let off = worst(input.grad(&by_fast).unwrap(), input.grad(&by_slow).unwrap());
                assert!(off < 5e-5, "{rows}, {inner}, {outputs}: {off}");
            }
        }
    }
}

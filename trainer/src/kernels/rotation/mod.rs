//! The rotation of pairs of channels by angles, forward and backward.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::slices::{cast, slice};

/// The backends that rotate: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait RotationBackend: Backend {
    /// Runs [`rotate`] on a backend's own tensors.
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Rotates each pair (i, i + half) of channels by its angle.
///
/// # Shapes
/// `x` and the output: [batch, heads, seq, `head_dim`]; `cos` and `sin`: [rows, 1, seq, `head_dim` / 2], where
/// there is one row if all sequences have the same angles.
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let [x, cos, sin] = [x, cos, sin].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as RotationBackend>::rotate(x, cos, sin))
}

/// The pass that a backend implements. The form here is the plain one, in tensor operations.
pub(crate) trait RotationKernels: Backend {
    /// Rotates by the angles, or with `back` by their negatives.
    fn turn(x: FloatTensor<Self>, angles: [FloatTensor<Self>; 2], back: bool) -> FloatTensor<Self> {
        plain_turn::<Self>(&x, &angles, back)
    }
}

macro_rules! rotate_on {
    ($backend:ty) => {
        impl RotationBackend for $backend {
            fn rotate(
                x: FloatTensor<Self>,
                cos: FloatTensor<Self>,
                sin: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                Self::turn(x, [cos, sin], false)
            }
        }
    };
}

rotate_on!(Flex);
#[cfg(feature = "cube")]
rotate_on!(burn::backend::Cube);

#[derive(Debug)]
struct Rotate;

impl<B: RotationKernels> Backward<B, 1> for Rotate {
    /// Cosines and sines.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::turn(grad, ops.state, true));
        }
    }
}

impl<B: RotationKernels, C: CheckpointStrategy> RotationBackend for Autodiff<B, C> {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let node = x.node();
        let (x, angles) = (x.into_primitive(), [cos, sin].map(FloatTensor::<Self>::into_primitive));
        match Rotate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let out = B::turn(x, angles.clone(), false);
                prep.finish(angles, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::turn(x, angles, false)),
        }
    }
}

fn plain_turn<B: Backend>(
    x: &FloatTensor<B>,
    angles: &[FloatTensor<B>; 2],
    back: bool,
) -> FloatTensor<B> {
    let half = x.shape()[3] / 2;
    let [cos, sin] = angles.each_ref().map(|angles| cast::<B>(angles.clone(), x.dtype()));
    let sin = if back { B::float_neg(sin) } else { sin };
    let (first, second) = (slice::<B>(x, 3, &(0..half)), slice::<B>(x, 3, &(half..2 * half)));
    let times =
        |x: &FloatTensor<B>, angles: &FloatTensor<B>| B::float_mul(x.clone(), angles.clone());
    let turned = [
        B::float_sub(times(&first, &cos), times(&second, &sin)),
        B::float_add(times(&second, &cos), times(&first, &sin)),
    ];
    B::float_cat(turned.to_vec(), 3)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::test_device;

    /// The rotation in tensor operations: the slow twin of the kernels.
    fn plain(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let turned = [
            first.clone() * cos.clone() - second.clone() * sin.clone(),
            second * cos + first * sin,
        ];
        Tensor::cat(turned.to_vec(), 3)
    }

    #[test]
    fn values_and_slopes_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        for ([batch, heads, seq, width], rows) in
            [([1, 1, 1, 2], 1), ([2, 3, 5, 8], 1), ([3, 2, 70, 34], 3)]
        {
            let draw = |shape: [usize; 4]| {
                Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device)
            };
            // Heads stand between positions and channels, as after a projection.
            let x = draw([batch, seq, heads, width]).swap_dims(1, 2).detach().require_grad();
            let angles = || draw([rows, 1, seq, width / 2]);
            let (cos, sin, cotangent) = (angles(), angles(), draw([batch, heads, seq, width]));

            let fast = rotate(x.clone(), cos.clone(), sin.clone());
            let slow = plain(x.clone(), cos, sin);
            let worst = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();
            let off = worst(fast.clone(), slow.clone());
            let by_fast = (fast * cotangent.clone()).sum().backward();
            let by_slow = (slow * cotangent).sum().backward();
            let slopes = worst(x.grad(&by_fast).unwrap(), x.grad(&by_slow).unwrap());

            assert!(off < 1e-6 && slopes < 1e-6, "{seq}, {width}: {off} and {slopes}");
        }
    }
}

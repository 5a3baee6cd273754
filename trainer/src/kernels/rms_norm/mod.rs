//! Root-mean-square normalization in one operation, forward and backward.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};

use super::slices::cast;

/// The backends that normalize: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait RmsNormBackend: Backend {
    /// Runs [`rms_norm`] on a backend's own tensors.
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
}

/// Divides each row by its root mean square and scales it by `gain`.
///
/// The mean is computed in f32 for inputs of every type; the output has the type of the input.
///
/// # Shapes
/// `x` and the output: [rows, width], `gain`: `[width]`.
pub(crate) fn rms_norm(x: Tensor<2>, gain: Tensor<1>, eps: f64) -> Tensor<2> {
    let (x, gain) = (x.into_dispatch(), gain.into_dispatch());
    Tensor::from_dispatch(<Dispatch as RmsNormBackend>::rms_norm(x, gain, eps))
}

/// The two passes that a backend implements: forward and backward.
///
/// The forms here are the plain ones, of operations that each read and write the whole tensor.
pub(crate) trait RmsNormKernels: Backend {
    /// Computes the normalized rows.
    fn norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        plain_norm::<Self>(x, gain, eps)
    }

    /// Computes the derivatives by the rows and by the gain.
    ///
    /// With `r` the inverse root mean square and `s` the derivative by the output times the gain:
    /// `dx = r (s - x r² mean(s x))` and `dgain = Σ dy x r` over the rows.
    fn norm_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f64,
    ) -> [FloatTensor<Self>; 2] {
        plain_norm_backward::<Self>(x, gain, grad, eps)
    }
}

macro_rules! norm_on {
    ($backend:ty) => {
        impl RmsNormBackend for $backend {
            fn rms_norm(
                x: FloatTensor<Self>,
                gain: FloatTensor<Self>,
                eps: f64,
            ) -> FloatTensor<Self> {
                Self::norm(x, gain, eps)
            }
        }
    };
}

norm_on!(Flex);
#[cfg(feature = "cube")]
norm_on!(burn::backend::Cube);

#[derive(Debug)]
struct RmsNorm {
    eps: f64,
}

impl<B: RmsNormKernels> Backward<B, 2> for RmsNorm {
    /// Rows and gain.
    type State = [FloatTensor<B>; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, gain] = ops.state;
        let slopes = B::norm_backward(x, gain, grad, self.eps);
        for (node, slope) in ops.parents.into_iter().zip(slopes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

impl<B: RmsNormKernels, C: CheckpointStrategy> RmsNormBackend for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let nodes = [x.node(), gain.node()];
        let (x, gain) = (x.into_primitive(), gain.into_primitive());
        match (RmsNorm { eps }).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let normed = B::norm(x.clone(), gain.clone(), eps);
                prep.finish([x, gain], normed)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::norm(x, gain, eps)),
        }
    }
}

/// Returns the rows in f32 and the inverse of their root mean squares: [rows, 1].
fn with_inverse_root<B: Backend>(x: FloatTensor<B>, eps: f64) -> [FloatTensor<B>; 2] {
    let x = cast::<B>(x, DType::F32);
    let square = B::float_mean_dim(B::float_mul(x.clone(), x.clone()), 1);
    let root = B::float_sqrt(B::float_add_scalar(square, eps.into()));
    [x, B::float_recip(root)]
}

/// Repeats a gain for each row, in f32.
fn for_rows<B: Backend>(gain: FloatTensor<B>) -> FloatTensor<B> {
    let width = gain.shape()[0];
    B::float_reshape(cast::<B>(gain, DType::F32), Shape::from([1, width]))
}

fn plain_norm<B: Backend>(x: FloatTensor<B>, gain: FloatTensor<B>, eps: f64) -> FloatTensor<B> {
    let dtype = x.dtype();
    let [x, root] = with_inverse_root::<B>(x, eps);
    cast::<B>(B::float_mul(B::float_mul(x, root), for_rows::<B>(gain)), dtype)
}

fn plain_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gain: FloatTensor<B>,
    grad: FloatTensor<B>,
    eps: f64,
) -> [FloatTensor<B>; 2] {
    let (dtype, gain_dtype, gain_shape) = (x.dtype(), gain.dtype(), gain.shape());
    let grad = cast::<B>(grad, DType::F32);
    let [x, root] = with_inverse_root::<B>(x, eps);
    let normed = B::float_mul(x, root.clone());
    let scaled = B::float_mul(grad.clone(), for_rows::<B>(gain));
    let mean = B::float_mean_dim(B::float_mul(scaled.clone(), normed.clone()), 1);
    let by_x = B::float_sub(scaled, B::float_mul(normed.clone(), mean));
    let by_gain = B::float_sum_dim(B::float_mul(grad, normed), 0);
    let by_gain = B::float_reshape(by_gain, gain_shape);
    [cast::<B>(B::float_mul(by_x, root), dtype), cast::<B>(by_gain, gain_dtype)]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::test_device;

    /// The norm in tensor operations: the slow twin of the kernels.
    fn plain(x: Tensor<2>, gain: Tensor<1>, eps: f64) -> Tensor<2> {
        let root = (x.clone().square().mean_dim(1) + eps).sqrt();
        x / root * gain.unsqueeze()
    }

    #[test]
    fn values_and_slopes_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let spread = Distribution::Normal(0.0, 2.0);
        for [rows, width] in [[1, 1], [3, 5], [70, 33], [130, 64]] {
            let draw = || Tensor::<2>::random([rows, width], spread, &device);
            let (x, cotangent) = (draw().require_grad(), draw());
            let gain = Tensor::<1>::random([width], spread, &device).require_grad();

            let fast = rms_norm(x.clone(), gain.clone(), 1e-3);
            let slow = plain(x.clone(), gain.clone(), 1e-3);
            let worst = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
            let off = worst(fast.clone(), slow.clone());
            let by_fast = (fast * cotangent.clone()).sum().backward();
            let by_slow = (slow * cotangent).sum().backward();
            let by_x = worst(x.grad(&by_fast).unwrap(), x.grad(&by_slow).unwrap());
            let by_gain = gain.grad(&by_fast).unwrap() - gain.grad(&by_slow).unwrap();
            let by_gain = by_gain.abs().max().into_scalar::<f32>();

            assert!(
                off < 1e-5 && by_x < 1e-4 && by_gain < 1e-4,
                "{rows}, {width}: {off}, {by_x}, {by_gain}"
            );
        }
    }
}

//! The exact GELU, with the exact derivative.

#[cfg(feature = "cube")]
mod cube;
mod flex;

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};

use super::slices::cast;

/// The backends that compute the GELU: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub(crate) trait GeluBackend: Backend {
    /// Computes [`gelu`] on a backend's own tensors.
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Computes `x Φ(x)` with the normal distribution's Φ, by the error function.
///
/// Burn's own `gelu` is exact only forward: for most backends its backward pass is that of the
/// tanh form, which is off by about 1e-3. Inputs of every type are computed in f32, because bf16
/// would round the tails of Φ to zero.
///
/// # Shapes
/// Input and output: [batch, seq, width].
pub(crate) fn gelu(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as GeluBackend>::exact_gelu(x.into_dispatch()))
}

/// The two passes that a backend implements: forward and backward.
///
/// The forms here are the plain ones, of a dozen operations that each read and write the whole tensor.
pub(crate) trait GeluKernels: Backend {
    /// Computes the GELU of each value.
    fn exact_forward(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain_forward::<Self>(x)
    }

    /// Computes the derivative by the input, of the input and the derivative by the output.
    fn exact_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        plain_backward::<Self>(x, grad)
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: GeluKernels> Backward<B, 1> for Gelu {
    /// The input.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::exact_backward(ops.state, grad));
        }
    }
}

impl<B: GeluKernels, C: CheckpointStrategy> GeluBackend for Autodiff<B, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                prep.finish(x.clone(), B::exact_forward(x))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::exact_forward(x.into_primitive())),
        }
    }
}

fn plain_forward<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = x.dtype();
    let x = cast::<B>(x, DType::F32);
    cast::<B>(B::float_mul(x.clone(), phi::<B>(x)), dtype)
}

fn plain_backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = grad.dtype();
    let x = cast::<B>(x, DType::F32);
    let square = B::float_mul(x.clone(), x.clone());
    let density = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
    let density = B::float_mul_scalar(density, (0.5 / PI).sqrt().into());
    let slope = B::float_add(phi::<B>(x.clone()), B::float_mul(x, density));
    cast::<B>(B::float_mul(cast::<B>(grad, DType::F32), slope), dtype)
}

/// Computes Φ(x).
fn phi<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, FRAC_1_SQRT_2.into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, FloatDType, TensorData};

    use super::*;
    use crate::device::test_device;

    /// The GELU in tensor operations: the slow twin of the kernels.
    fn plain(x: Tensor<3>) -> Tensor<3> {
        x.clone() * ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5
    }

    #[test]
    fn values_and_slopes_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let worst = |a: Tensor<3>, b: Tensor<3>| (a - b).abs().max().into_scalar::<f32>();
        let spread = Distribution::Normal(0.0, 3.0);
        for shape in [[1, 1, 1], [2, 3, 5], [1, 7, 33], [3, 64, 65]] {
            let [x, cotangent] = [0; 2].map(|_| Tensor::<3>::random(shape, spread, &device));
            let wide = x.clone().repeat(&[1, 1, 2]);
            let views = [
                x.clone(),
                x.swap_dims(1, 2).detach().swap_dims(1, 2),
                wide.narrow(2, shape[2] / 2, shape[2]),
            ];
            for view in views {
                let view = view.detach().require_grad();

                let (fast, slow) = (gelu(view.clone()), plain(view.clone()));
                let off = worst(fast.clone(), slow.clone());
                let by_fast = (fast * cotangent.clone()).sum().backward();
                let by_slow = (slow * cotangent.clone()).sum().backward();
                let slopes = worst(view.grad(&by_fast).unwrap(), view.grad(&by_slow).unwrap());

                assert!(off < 2e-6 && slopes < 2e-5, "{shape:?}: {off} and {slopes}");
            }
        }
    }

    /// In bf16 the result is the exact one, rounded once, in the tails too.
    #[test]
    fn bf16_loses_no_more_than_its_own_rounding() {
        let device = test_device().unwrap().autodiff();
        if !device.supports_dtype(DType::BF16) {
            println!("{device:?} has no bf16: not tested there");
            return;
        }
        let values: Vec<f32> = (0..=800).map(|i| i as f32 / 100.0 - 4.0).collect();
        let count = values.len();
        let at = Tensor::<3>::from_data(TensorData::new(values, [1, 1, count]), &device)
            .cast(FloatDType::BF16);
        let run = |x: Tensor<3>| {
            let x = x.detach().require_grad();
            let y = gelu(x.clone());
            let all = y.clone().sum().backward();
            let list = |tensor: Tensor<3>| -> Vec<f64> {
                tensor.into_data().convert::<f64>().try_to_vec().unwrap()
            };
            (list(y), list(x.grad(&all).unwrap()))
        };

        let (values, slopes) = run(at.clone());
        let (expected, expected_slopes) = run(at.cast(FloatDType::F32));

        for (found, expected) in [(values, expected), (slopes, expected_slopes)] {
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= b.abs() / 256.0 + 1e-9, "{a} for {b}");
            }
        }
    }
}

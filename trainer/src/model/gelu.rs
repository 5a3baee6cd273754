//! The exact GELU, with the exact derivative.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// The backends that compute the GELU: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cuda"))]
pub(crate) trait GeluBackend: Backend {
    /// Computes [`gelu`] on a backend's own tensors.
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Computes `x Φ(x)` with the normal distribution's Φ, by the error function.
///
/// Burn's own `gelu` is exact forward alone: the backward pass it has for most backends is that
/// of the tanh form, some 1e-3 off.
///
/// # Shapes
/// Input and output: [batch, seq, width].
pub(crate) fn gelu(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as GeluBackend>::exact_gelu(x.into_dispatch()))
}

impl GeluBackend for Flex {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        forward::<Self>(x)
    }
}

#[cfg(feature = "cuda")]
impl GeluBackend for burn::backend::Cube {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        forward::<Self>(x)
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: Backend> Backward<B, 1> for Gelu {
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
            let x = ops.state;
            let square = B::float_mul(x.clone(), x.clone());
            let density = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
            let density = B::float_mul_scalar(density, (0.5 / PI).sqrt().into());
            let slope = B::float_add(below::<B>(x.clone()), B::float_mul(x, density));
            grads.register::<B>(node.id, B::float_mul(grad, slope));
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> GeluBackend for Autodiff<B, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                prep.finish(x.clone(), forward::<B>(x))
            }
            OpsKind::UnTracked(prep) => prep.finish(forward::<B>(x.into_primitive())),
        }
    }
}

fn forward<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), below::<B>(x))
}

/// Computes Φ(x).
fn below<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, FRAC_1_SQRT_2.into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

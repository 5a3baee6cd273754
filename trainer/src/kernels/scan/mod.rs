//! The gated scan: the recurrence that `rnn` runs over a sequence and `rat` within a chunk.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
mod flex;
mod plain;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

pub use plain::plain_scan;

/// The backends that run the scan: the operation as the dispatcher sees it.
#[backend_extension(Autodiff, Flex, Cube: cfg(feature = "cube"))]
pub trait ScanBackend: Backend {
    /// Runs [`gated_scan`] on a backend's own tensors.
    fn gated_scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The two loops over time that a backend implements: forward and backward.
pub trait ScanKernels: Backend {
    /// Computes the states from gates and inputs.
    fn scan(gate: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Computes the derivatives by the gates and by the inputs.
    ///
    /// With `s_t = dy_t + g_{t+1} s_{t+1}`, computed from the end: `dx_t = s_t (1 - g_t)` and
    /// `dg_t = s_t (y_{t-1} - x_t)`.
    fn scan_backward(
        gate: FloatTensor<Self>,
        x: FloatTensor<Self>,
        states: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Runs `y_t = g_t y_{t-1} + (1 - g_t) x_t` along dimension 1 in f32, from a state of zero.
///
/// For the backward pass it keeps gates, inputs and states, and nothing of single time steps.
///
/// # Shapes
/// `gate`, `x` and the output: [rows, seq, width].
pub fn gated_scan(gate: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as ScanBackend>::gated_scan(
        gate.into_dispatch(),
        x.into_dispatch(),
    ))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::test_device;

    #[test]
    fn the_scan_and_its_derivatives_are_those_of_the_plain_form() {
        let device = test_device().unwrap().autodiff();
        let draw = |low, high| {
            let spread = Distribution::Uniform(low, high);
            Tensor::<3>::random([3, 17, 5], spread, &device).require_grad()
        };
        let (gate, x, cotangent) = (draw(0.0, 1.0), draw(-1.0, 1.0), draw(-1.0, 1.0).detach());

        let fast = gated_scan(gate.clone(), x.clone());
        let slow = plain_scan(&gate, &x);
        let worst = |a: Tensor<3>, b: Tensor<3>| (a - b).abs().max().into_scalar::<f32>();
        assert!(worst(fast.clone(), slow.clone()) < 1e-6);
        let by_fast = (fast * cotangent.clone()).sum().backward();
        let by_slow = (slow * cotangent).sum().backward();

        for input in [gate, x] {
            let found = input.grad(&by_fast).unwrap();
            assert!(worst(found, input.grad(&by_slow).unwrap()) < 1e-5);
        }
    }
}

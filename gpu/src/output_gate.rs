//! The output gate: `sigmoid(z) x`, one kernel forward and one backward.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, Vectors, assert_alike, threads};
use crate::sigmoid::sigmoid;

/// The vectors of `z` lie `distance` values apart.
#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel<F: Float>(
    z: &[F],
    x: &[F],
    y: &mut [F],
    width: usize,
    distance: usize,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let gate = z[ABSOLUTE_POS / width * distance + ABSOLUTE_POS % width];
    let gate = sigmoid(f32::cast_from(gate));
    y[ABSOLUTE_POS] = F::cast_from(gate * f32::cast_from(x[ABSOLUTE_POS]));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float>(
    z: &[F],
    x: &[F],
    grad: &[F],
    by_z: &mut [F],
    by_x: &mut [F],
    width: usize,
    distance: usize,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= by_x.len() {
        terminate!();
    }
    let gate = z[ABSOLUTE_POS / width * distance + ABSOLUTE_POS % width];
    let gate = sigmoid(f32::cast_from(gate));
    let by_x_here = f32::cast_from(grad[ABSOLUTE_POS]) * gate;
    by_x[ABSOLUTE_POS] = F::cast_from(by_x_here);
    let by_z_here = by_x_here * (f32::new(1.0_f32) - gate) * f32::cast_from(x[ABSOLUTE_POS]);
    by_z[ABSOLUTE_POS] = F::cast_from(by_z_here);
}

/// Computes `sigmoid(z) x`, in f32 for elements of every type.
///
/// # Shapes
/// All: [vectors, width], or any that are read as this.
pub fn forward(client: &Client, z: Vectors, x: Operand, y: Operand) {
    assert_alike([&x, &y]);
    z.assert_like(&x);
    if x.len() == 0 {
        return;
    }
    let ((count, dim), element) = (threads(client, x.len()), x.element());
    let (addresses, width, distance) = (z.addresses(), z.width(), z.distance());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: `x` and `y` have as many values as there are threads that do not end at once, and `z` has as many
    // vectors.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            z.into_buffer(),
            x.into_buffer(),
            y.into_buffer(),
            width,
            distance,
            element,
        );
    }
}

/// What the backward pass of the gate writes.
#[derive(Debug)]
pub struct Slopes {
    /// The derivative by `z`.
    pub by_z: Operand,
    /// The derivative by `x`.
    pub by_x: Operand,
}

/// Computes the derivatives of the inputs and the derivative by the output.
pub fn backward(client: &Client, z: Vectors, x: Operand, grad: Operand, slopes: Slopes) {
    let Slopes { by_z, by_x } = slopes;
    assert_alike([&x, &grad, &by_z, &by_x]);
    z.assert_like(&x);
    if x.len() == 0 {
        return;
    }
    let ((count, dim), element) = (threads(client, x.len()), x.element());
    let (addresses, width, distance) = (z.addresses(), z.width(), z.distance());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: as above.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            z.into_buffer(),
            x.into_buffer(),
            grad.into_buffer(),
            by_z.into_buffer(),
            by_x.into_buffer(),
            width,
            distance,
            element,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let forward = compiled!(on, forward_kernel::ForwardKernel, b(), b(), b(), (), (), on.element);
    let backward =
        compiled!(on, backward_kernel::BackwardKernel, b(), b(), b(), b(), b(), (), (), on.element);
    vec![("output_gate_forward", Box::new(forward)), ("output_gate_backward", Box::new(backward))]
}

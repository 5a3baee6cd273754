//! The exact GELU: one kernel forward and one backward, which read and write each value once.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};

#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel<F: Float>(x: &[F], y: &mut [F], #[define(F)] _element: ElemType) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let value = f32::cast_from(x[ABSOLUTE_POS]);
    y[ABSOLUTE_POS] = F::cast_from(value * phi(value));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float>(x: &[F], grad: &[F], by_x: &mut [F], #[define(F)] _element: ElemType) {
    if ABSOLUTE_POS >= by_x.len() {
        terminate!();
    }
    let value = f32::cast_from(x[ABSOLUTE_POS]);
    let density =
        (value * value * f32::new(-0.5_f32)).exp() * f32::new(comptime!((0.5 / PI).sqrt()));
    let slope = phi(value) + value * density;
    by_x[ABSOLUTE_POS] = F::cast_from(f32::cast_from(grad[ABSOLUTE_POS]) * slope);
}

/// Computes the normal distribution's Φ.
#[cube]
fn phi(value: f32) -> f32 {
    let scaled = value * f32::new(FRAC_1_SQRT_2);
    (Erf::erf(scaled) + f32::new(1.0_f32)) * f32::new(0.5_f32)
}

/// Computes the GELU `y` of each value of `x`, in f32 for elements of every type.
pub fn forward(client: &Client, x: Operand, y: Operand) {
    assert_alike([&x, &y]);
    let ((count, dim), addresses, element) = (threads(client, x.len()), x.addresses(), x.element());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: both buffers have as many values as there are threads that do not end at once.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.into_buffer(),
            y.into_buffer(),
            element,
        );
    }
}

/// Computes the derivative by the input, of the input and the derivative by the output.
pub fn backward(client: &Client, x: Operand, grad: Operand, by_x: Operand) {
    assert_alike([&x, &grad, &by_x]);
    let ((count, dim), addresses, element) = (threads(client, x.len()), x.addresses(), x.element());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: all buffers have as many values as there are threads that do not end at once.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.into_buffer(),
            grad.into_buffer(),
            by_x.into_buffer(),
            element,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = on.buffer();
    let forward = compiled!(on, forward_kernel::ForwardKernel, b.clone(), b.clone(), on.element);
    let backward =
        compiled!(on, backward_kernel::BackwardKernel, b.clone(), b.clone(), b, on.element);
    vec![("gelu_forward", Box::new(forward)), ("gelu_backward", Box::new(backward))]
}

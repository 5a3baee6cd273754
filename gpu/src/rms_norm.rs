//! The root-mean-square norm: a cube for each row, and for the gain's derivative a thread for each channel
//! and some rows.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};
use crate::rows::{UNITS, cubes, sum_of_units};

/// How many rows a thread sums up for the derivative by the gain.
pub const ROWS_OF_A_PART: usize = 64;

#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel<F: Float>(
    x: &[F],
    gain: &[f32],
    y: &mut [F],
    eps: f32,
    one_by_width: f32,
    width: usize,
    #[define(F)] _element: ElemType,
) {
    let row = CUBE_POS;
    if row >= y.len() / width {
        terminate!();
    }
    let first = row * width;
    let mut squares = f32::new(0.0_f32);
    let mut at = UNIT_POS as usize;
    while at < width {
        let value = f32::cast_from(x[first + at]);
        squares += value * value;
        at += UNITS;
    }
    let root = f32::new(1.0_f32) / (sum_of_units(squares) * one_by_width + eps).sqrt();
    let mut at = UNIT_POS as usize;
    while at < width {
        y[first + at] = F::cast_from(f32::cast_from(x[first + at]) * root * gain[at]);
        at += UNITS;
    }
}

/// Writes the derivative by the row, and the inverse of the root mean square.
#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float>(
    x: &[F],
    gain: &[f32],
    grad: &[F],
    by_x: &mut [F],
    roots: &mut [f32],
    eps: f32,
    one_by_width: f32,
    width: usize,
    #[define(F)] _element: ElemType,
) {
    let row = CUBE_POS;
    if row >= roots.len() {
        terminate!();
    }
    let first = row * width;
    let mut squares = f32::new(0.0_f32);
    let mut products = f32::new(0.0_f32);
    let mut at = UNIT_POS as usize;
    while at < width {
        let value = f32::cast_from(x[first + at]);
        squares += value * value;
        products += f32::cast_from(grad[first + at]) * gain[at] * value;
        at += UNITS;
    }
    let root = f32::new(1.0_f32) / (sum_of_units(squares) * one_by_width + eps).sqrt();
    let factor = sum_of_units(products) * one_by_width * root * root;
    if UNIT_POS == 0 {
        roots[row] = root;
    }
    let mut at = UNIT_POS as usize;
    while at < width {
        let scaled = f32::cast_from(grad[first + at]) * gain[at];
        let value = f32::cast_from(x[first + at]);
        by_x[first + at] = F::cast_from((scaled - value * factor) * root);
        at += UNITS;
    }
}

/// Sums up the derivative by the gain over some rows. Neighbouring threads take neighbouring channels.
#[cube(launch_unchecked, address_type = "dynamic")]
fn gain_kernel<F: Float>(
    x: &[F],
    grad: &[F],
    roots: &[f32],
    by_gain: &mut [f32],
    width: usize,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= by_gain.len() {
        terminate!();
    }
    let first = (ABSOLUTE_POS / width) * ROWS_OF_A_PART;
    let end = min(first + ROWS_OF_A_PART, roots.len());
    let mut at = first * width + ABSOLUTE_POS % width;
    let mut sum = f32::new(0.0_f32);
    for row in first..end {
        sum += f32::cast_from(grad[at]) * f32::cast_from(x[at]) * roots[row];
        at += width;
    }
    by_gain[ABSOLUTE_POS] = sum;
}

/// Divides each row of `x` by its root mean square and multiplies it by the gain, in f32.
///
/// # Shapes
/// `x` and `y`: [rows, width], `gain`: `[width]`, in f32.
pub fn forward(client: &Client, x: Operand, gain: Operand, eps: f32, y: Operand) {
    assert_alike([&x, &y]);
    let [rows, width] = x.shape();
    let [gains] = gain.shape();
    assert_eq!(gains, width, "the gain has a number for each channel");
    if x.len() == 0 {
        return;
    }
    let ((count, dim), addresses, element) = (cubes(client, rows), x.addresses(), x.element());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: both buffers have rows · width values, the gain has `width`, and a cube past the last row ends at
    // once.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.into_buffer(),
            gain.into_buffer(),
            y.into_buffer(),
            eps,
            1.0 / width as f32,
            width,
            element,
        );
    }
}

/// What the backward pass of the norm reads.
#[derive(Debug)]
pub struct Saved {
    /// The rows.
    pub x: Operand,
    /// The gain, in f32.
    pub gain: Operand,
    /// The derivatives by the output.
    pub grad: Operand,
}

/// What the backward pass of the norm writes.
#[derive(Debug)]
pub struct Slopes {
    /// The derivative by the rows.
    pub by_x: Operand,
    /// Memory for the inverse root mean square of each row, in f32.
    pub roots: Operand,
    /// The derivative by the gain, in f32, of [`ROWS_OF_A_PART`] rows each.
    pub by_gain: Operand,
}

/// Computes the derivatives by the rows and by the gain.
///
/// # Shapes
/// `x`, `grad` and `by_x`: [rows, width], `gain`: `[width]`, `roots`: `[rows]`, `by_gain`: [parts, width].
pub fn backward(client: &Client, saved: Saved, eps: f32, slopes: Slopes) {
    let Saved { x, gain, grad } = saved;
    let Slopes { by_x, roots, by_gain } = slopes;
    assert_alike([&x, &grad, &by_x]);
    let [rows, width] = x.shape();
    assert_eq!((gain.shape(), roots.shape()), ([width], [rows]));
    assert_eq!(by_gain.shape(), [rows.div_ceil(ROWS_OF_A_PART), width]);
    if x.len() == 0 {
        return;
    }
    let (addresses, element) = (x.addresses(), x.element());
    let (count, dim) = cubes(client, rows);
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the matrices have rows · width values, the gain has `width` and the roots `rows`, and a cube past
    // the last row ends at once.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.clone().into_buffer(),
            gain.into_buffer(),
            grad.clone().into_buffer(),
            by_x.into_buffer(),
            roots.clone().into_buffer(),
            eps,
            1.0 / width as f32,
            width,
            element,
        );
    }
    let (count, dim) = threads(client, by_gain.len());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the matrices have rows · width values and the roots `rows`, a thread past the last part ends at
    // once, and a part ends at the last row.
    unsafe {
        gain_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.into_buffer(),
            grad.into_buffer(),
            roots.into_buffer(),
            by_gain.into_buffer(),
            width,
            element,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let forward =
        compiled!(on, forward_kernel::ForwardKernel, b(), b(), b(), (), (), (), on.element);
    let backward = compiled!(
        on,
        backward_kernel::BackwardKernel,
        b(),
        b(),
        b(),
        b(),
        b(),
        (),
        (),
        (),
        on.element
    );
    let gain = compiled!(on, gain_kernel::GainKernel, b(), b(), b(), b(), (), on.element);
    vec![
        ("rms_norm_forward", Box::new(forward)),
        ("rms_norm_backward", Box::new(backward)),
        ("rms_norm_gain", Box::new(gain)),
    ]
}

//! The rotation of pairs of channels by angles: one thread for each pair.

use cubecl::prelude::*;

#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};

#[cube(launch_unchecked, address_type = "dynamic")]
fn turn_kernel<F: Float>(
    x: &[F],
    cos: &[f32],
    sin: &[f32],
    y: &mut [F],
    sign: f32,
    half: usize,
    pairs_of_a_head: usize,
    pairs_of_a_row: usize,
    angles_of_a_row: usize,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= y.len() / 2 {
        terminate!();
    }
    let first = (ABSOLUTE_POS / half) * 2 * half + ABSOLUTE_POS % half;
    let second = first + half;
    let angle = (ABSOLUTE_POS / pairs_of_a_row) * angles_of_a_row + ABSOLUTE_POS % pairs_of_a_head;
    let (a, b) = (f32::cast_from(x[first]), f32::cast_from(x[second]));
    let (c, s) = (cos[angle], sin[angle] * sign);
    y[first] = F::cast_from(a * c - b * s);
    y[second] = F::cast_from(b * c + a * s);
}

/// The angles of a rotation, in f32.
#[derive(Debug)]
pub struct Angles {
    /// Their cosines.
    pub cos: Operand,
    /// Their sines.
    pub sin: Operand,
}

/// Rotates each pair (i, i + half) of channels of `x` by its angle, or with `back` by its negative.
///
/// # Shapes
/// `x` and `y`: [batch, heads, seq, width]; the angles: [rows, 1, seq, width / 2], where `rows` is 1 or
/// `batch`.
pub fn turn(client: &Client, x: Operand, angles: Angles, back: bool, y: Operand) {
    let Angles { cos, sin } = angles;
    assert_alike([&x, &y]);
    assert_alike([&cos, &sin]);
    let [batch, heads, seq, width] = x.shape();
    let ([rows, one, positions, half], pairs) = (cos.shape(), x.len() / 2);
    assert!(
        one == 1 && positions == seq && 2 * half == width && (rows == 1 || rows == batch),
        "a pair has an angle: {x:?} and {cos:?}"
    );
    if pairs == 0 {
        return;
    }
    let ((count, dim), addresses, element) = (threads(client, pairs), x.addresses(), x.element());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: `x` and `y` have two values a thread that does not end at once, and the angles were compared with
    // their shape.
    unsafe {
        turn_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            x.into_buffer(),
            cos.into_buffer(),
            sin.into_buffer(),
            y.into_buffer(),
            if back { -1.0 } else { 1.0 },
            half,
            seq * half,
            heads * seq * half,
            if rows == 1 { 0 } else { seq * half },
            element,
        );
    }
}

/// Returns the kernel of this file as it is compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let turn =
        compiled!(on, turn_kernel::TurnKernel, b(), b(), b(), b(), (), (), (), (), (), on.element);
    vec![("rotation", Box::new(turn))]
}

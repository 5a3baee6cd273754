//! The gated scan: one thread for each row and channel, looping over time. Few long rows go by segments.

mod saved;
mod segments;

use cubecl::prelude::*;

pub use self::saved::Saved;
use self::segments::{SEGMENT, Sizes};
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};

/// How many threads keep a GPU at work: with so many rows and channels, segments gain nothing.
const ENOUGH_THREADS: usize = 1 << 17;

/// Neighbouring threads take neighbouring channels, so that their reads are contiguous.
#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel(gate: &[f32], x: &[f32], states: &mut [f32], seq: usize, width: usize) {
    if ABSOLUTE_POS >= x.len() / seq {
        terminate!();
    }
    let row = ABSOLUTE_POS / width;
    let mut at = row * seq * width + ABSOLUTE_POS % width;
    let mut state = f32::new(0.0_f32);
    for _ in 0..seq {
        let g = gate[at];
        state = g * state + (f32::new(1.0_f32) - g) * x[at];
        states[at] = state;
        at += width;
    }
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel(
    gate: &[f32],
    x: &[f32],
    states: &[f32],
    grad: &[f32],
    by_gate: &mut [f32],
    by_x: &mut [f32],
    seq: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= x.len() / seq {
        terminate!();
    }
    let first = (ABSOLUTE_POS / width) * seq * width + ABSOLUTE_POS % width;
    let mut carry = f32::new(0.0_f32);
    for back in 1..seq {
        let at = first + (seq - back) * width;
        let g = gate[at];
        let slope = grad[at] + carry;
        by_x[at] = slope * (f32::new(1.0_f32) - g);
        by_gate[at] = slope * (states[at - width] - x[at]);
        carry = slope * g;
    }
    let slope = grad[first] + carry;
    by_x[first] = slope * (f32::new(1.0_f32) - gate[first]);
    by_gate[first] = f32::new(0.0_f32) - slope * x[first];
}

/// Returns whether a scan goes by segments.
fn is_long(rows: usize, seq: usize, width: usize) -> bool {
    seq > 2 * SEGMENT && rows * width < ENOUGH_THREADS
}

/// Computes the states `y_t = g_t y_{t-1} + (1 - g_t) x_t` along dimension 1 in f32, from zero.
///
/// # Shapes
/// All: [rows, seq, width].
pub fn forward(client: &Client, gate: Operand, x: Operand, states: Operand) {
    assert_alike([&gate, &x, &states]);
    let [rows, seq, width] = x.shape();
    if x.len() == 0 {
        return;
    }
    if is_long(rows, seq, width) {
        return segments::forward(client, Sizes { rows, seq, width }, gate, x, states);
    }
    let ((count, dim), addresses) = (threads(client, rows * width), x.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: all buffers have rows · seq · width values, and a thread past the last row ends at once.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            gate.into_buffer(),
            x.into_buffer(),
            states.into_buffer(),
            seq,
            width,
        );
    }
}

/// Computes the derivatives by the gates and by the inputs.
///
/// # Shapes
/// All: [rows, seq, width].
pub fn backward(client: &Client, saved: Saved, by_gate: Operand, by_x: Operand) {
    let Saved { gate, x, states, grad } = saved;
    assert_alike([&gate, &x, &states, &grad, &by_gate, &by_x]);
    let [rows, seq, width] = x.shape();
    if x.len() == 0 {
        return;
    }
    if is_long(rows, seq, width) {
        let (sizes, saved) = (Sizes { rows, seq, width }, Saved { gate, x, states, grad });
        return segments::backward(client, sizes, saved, by_gate, by_x);
    }
    let ((count, dim), addresses) = (threads(client, rows * width), x.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: all buffers have rows · seq · width values, and a thread past the last row ends at once.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            gate.into_buffer(),
            x.into_buffer(),
            states.into_buffer(),
            grad.into_buffer(),
            by_gate.into_buffer(),
            by_x.into_buffer(),
            seq,
            width,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = on.buffer();
    let forward =
        compiled!(on, forward_kernel::ForwardKernel, b.clone(), b.clone(), b.clone(), (), ());
    let backward = compiled!(
        on,
        backward_kernel::BackwardKernel,
        b.clone(),
        b.clone(),
        b.clone(),
        b.clone(),
        b.clone(),
        b,
        (),
        ()
    );
    let mut kernels = segments::kernels(on);
    kernels.push(("scan_forward", Box::new(forward)));
    kernels.push(("scan_backward", Box::new(backward)));
    kernels
}

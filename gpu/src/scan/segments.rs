//! What comes into each segment of a long row: the state before it, or the slope after it.
//!
//! A segment is a linear function of the state before it. One pass computes each segment's factor and its
//! state from zero, and one joins them from segment to segment. The backward pass is the same from the end.

use cubecl::prelude::*;

use super::inputs::Inputs;
use super::sizes::Sizes;
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, threads};
use crate::sigmoid::sigmoid;

/// Computes the factor of each segment and its last state from zero or, with `back`, from a slope of zero after it
/// what it hands to the one before. `slopes` are the derivatives by the states.
#[cube(launch_unchecked, address_type = "dynamic")]
fn ends_kernel<F: Float>(
    projected: &[F],
    bias: &[f32],
    carry: &[f32],
    slopes: &[F],
    factors: &mut [f32],
    ends: &mut [f32],
    seq: usize,
    span: usize,
    width: usize,
    carry_len: usize,
    #[comptime] back: bool,
    #[define(F)] _element: ElemType,
) {
    if ABSOLUTE_POS >= ends.len() {
        terminate!();
    }
    let channel = ABSOLUTE_POS % width;
    let in_row = (seq + span - 1) / span;
    let row = ABSOLUTE_POS / width / in_row;
    let first = (ABSOLUTE_POS / width % in_row) * span;
    let steps = min(span, seq - first);
    let marks = (row * seq) % carry_len;
    let mut factor = f32::new(1.0_f32);
    let mut end = f32::new(0.0_f32);
    for step in 0..steps {
        let mut t = first + step;
        if comptime!(back) {
            t = first + steps - 1 - step;
        }
        let at = (row * seq + t) * 3 * width + channel;
        let gate = sigmoid(f32::cast_from(projected[at + 2 * width]) + bias[channel]);
        let kept = gate * carry[marks + t];
        factor *= kept;
        if comptime!(back) {
            end = (f32::cast_from(slopes[(row * seq + t) * width + channel]) + end) * kept;
        } else {
            let value = f32::cast_from(projected[at + width]);
            end = kept * end + (f32::new(1.0_f32) - gate) * value;
        }
    }
    factors[ABSOLUTE_POS] = factor;
    ends[ABSOLUTE_POS] = end;
}

/// Replaces what each segment ends with by what comes into it, from the first to the last or, with `back`,
/// from the last to the first. One thread for each row and channel.
#[cube(launch_unchecked, address_type = "dynamic")]
fn join_kernel(
    factors: &[f32],
    values: &mut [f32],
    segments: usize,
    width: usize,
    #[comptime] back: bool,
) {
    if ABSOLUTE_POS >= values.len() / segments {
        terminate!();
    }
    let first = (ABSOLUTE_POS / width) * segments * width + ABSOLUTE_POS % width;
    let mut value = f32::new(0.0_f32);
    for step in 0..segments {
        let mut segment = step;
        if comptime!(back) {
            segment = segments - 1 - step;
        }
        let at = first + segment * width;
        let next = factors[at] * value + values[at];
        values[at] = value;
        value = next;
    }
}

/// Returns the state before each segment: [rows, segments, width].
pub(crate) fn before(client: &Client, sizes: Sizes, inputs: Inputs) -> Operand {
    let unread = inputs.projected.clone();
    incoming(client, sizes, inputs, unread, false)
}

/// Returns the slope after each segment, of the derivatives by the states: [rows, segments, width].
pub(crate) fn after(client: &Client, sizes: Sizes, inputs: Inputs, slopes: Operand) -> Operand {
    incoming(client, sizes, inputs, slopes, true)
}

fn incoming(client: &Client, sizes: Sizes, inputs: Inputs, slopes: Operand, back: bool) -> Operand {
    let Sizes { rows, seq, width, .. } = sizes;
    let Inputs { projected, bias, carry } = inputs;
    let numbers = || Operand::empty(client, [rows, sizes.strands_of_a_row(), width]);
    let (factors, ends) = (numbers(), numbers());
    let ((count, dim), addresses) = (threads(client, ends.len()), projected.addresses());
    let (element, carry_len) = (projected.element(), carry.len());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the tensors have the sizes that the caller asserted, the others a value a segment and channel, and a
    // thread past the last one ends at once.
    unsafe {
        ends_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            projected.into_buffer(),
            bias.into_buffer(),
            carry.into_buffer(),
            slopes.into_buffer(),
            factors.clone().into_buffer(),
            ends.clone().into_buffer(),
            seq,
            sizes.span(),
            width,
            carry_len,
            back,
            element,
        );
    }
    let ((count, dim), addresses) = (threads(client, rows * width), ends.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: both have a value a row, segment and channel, and a thread past the last row ends at once.
    unsafe {
        join_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            factors.into_buffer(),
            ends.clone().into_buffer(),
            sizes.strands_of_a_row(),
            width,
            back,
        );
    }
    ends
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let ends = |back| {
        compiled!(
            on,
            ends_kernel::EndsKernel,
            b(),
            b(),
            b(),
            b(),
            b(),
            b(),
            (),
            (),
            (),
            (),
            back,
            on.element
        )
    };
    let join = |back| compiled!(on, join_kernel::JoinKernel, b(), b(), (), (), back);
    vec![
        ("scan_segments_ends", Box::new(ends(false))),
        ("scan_segments_heads", Box::new(ends(true))),
        ("scan_segments_join", Box::new(join(false))),
        ("scan_segments_join_back", Box::new(join(true))),
    ]
}

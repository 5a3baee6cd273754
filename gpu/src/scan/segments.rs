//! The gated scan of long rows, in segments: one thread for each row, segment and channel.
//!
//! A segment is a linear function of the state before it. One pass computes each segment's factor and its
//! state from zero, one joins them from segment to segment, and one computes the states from what is known by
//! then. The backward pass is the same from the end.

use cubecl::prelude::*;

use super::saved::Saved;
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, threads};

/// How many time steps a segment has.
pub(crate) const SEGMENT: usize = 128;

/// The segment and channel of a thread. Neighbouring threads take neighbouring channels.
#[derive(CubeType, Clone, Copy)]
struct Place {
    /// The first value.
    at: usize,
    /// How many time steps there are.
    steps: usize,
}

/// Finds the segment and channel of this thread.
#[cube]
fn place(seq: usize, width: usize) -> Place {
    let segments = (seq + SEGMENT - 1) / SEGMENT;
    let row = ABSOLUTE_POS / (segments * width);
    let segment = ABSOLUTE_POS / width % segments;
    let first = segment * SEGMENT;
    Place {
        at: (row * seq + first) * width + ABSOLUTE_POS % width,
        steps: min(SEGMENT, seq - first),
    }
}

/// Computes the factor of each segment and its last state from zero.
#[cube(launch_unchecked, address_type = "dynamic")]
fn ends_kernel(
    gate: &[f32],
    x: &[f32],
    factors: &mut [f32],
    states: &mut [f32],
    seq: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= states.len() {
        terminate!();
    }
    let place = place(seq, width);
    let mut at = place.at;
    let mut factor = f32::new(1.0_f32);
    let mut state = f32::new(0.0_f32);
    for _ in 0..place.steps {
        let g = gate[at];
        factor *= g;
        state = g * state + (f32::new(1.0_f32) - g) * x[at];
        at += width;
    }
    factors[ABSOLUTE_POS] = factor;
    states[ABSOLUTE_POS] = state;
}

/// Computes the factor of each segment and, from a slope of zero after it, what it hands to the one before.
#[cube(launch_unchecked, address_type = "dynamic")]
fn heads_kernel(
    gate: &[f32],
    grad: &[f32],
    factors: &mut [f32],
    carries: &mut [f32],
    seq: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= carries.len() {
        terminate!();
    }
    let place = place(seq, width);
    let mut at = place.at + place.steps * width;
    let mut factor = f32::new(1.0_f32);
    let mut carry = f32::new(0.0_f32);
    for _ in 0..place.steps {
        at -= width;
        let g = gate[at];
        factor *= g;
        carry = (grad[at] + carry) * g;
    }
    factors[ABSOLUTE_POS] = factor;
    carries[ABSOLUTE_POS] = carry;
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

/// Computes the states of each segment from the state before it.
#[cube(launch_unchecked, address_type = "dynamic")]
fn states_kernel(
    gate: &[f32],
    x: &[f32],
    before: &[f32],
    states: &mut [f32],
    seq: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= before.len() {
        terminate!();
    }
    let place = place(seq, width);
    let mut at = place.at;
    let mut state = before[ABSOLUTE_POS];
    for _ in 0..place.steps {
        let g = gate[at];
        state = g * state + (f32::new(1.0_f32) - g) * x[at];
        states[at] = state;
        at += width;
    }
}

/// Computes the derivatives in each segment from the slope after it.
#[cube(launch_unchecked, address_type = "dynamic")]
fn slopes_kernel(
    gate: &[f32],
    x: &[f32],
    states: &[f32],
    grad: &[f32],
    after: &[f32],
    by_gate: &mut [f32],
    by_x: &mut [f32],
    seq: usize,
    width: usize,
) {
    if ABSOLUTE_POS >= after.len() {
        terminate!();
    }
    let place = place(seq, width);
    let mut at = place.at + place.steps * width;
    let mut carry = after[ABSOLUTE_POS];
    for _ in 0..place.steps {
        at -= width;
        let g = gate[at];
        let slope = grad[at] + carry;
        by_x[at] = slope * (f32::new(1.0_f32) - g);
        carry = slope * g;
        // The first state of a row comes after zero.
        let mut before = f32::new(0.0_f32);
        if (at / width) % seq > 0 {
            before = states[at - width];
        }
        by_gate[at] = slope * (before - x[at]);
    }
}

/// The numbers of a scan: rows, time steps and channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) seq: usize,
    pub(crate) width: usize,
}

impl Sizes {
    fn segments(self) -> usize {
        self.seq.div_ceil(SEGMENT)
    }

    /// Returns memory for a number a row, segment and channel.
    fn numbers(self, client: &Client) -> Operand {
        Operand::empty(client, [self.rows, self.segments(), self.width])
    }
}

/// Computes the states. The operands have the shape that the sizes say.
pub(crate) fn forward(client: &Client, sizes: Sizes, gate: Operand, x: Operand, states: Operand) {
    let Sizes { seq, width, .. } = sizes;
    let (factors, before) = (sizes.numbers(client), sizes.numbers(client));
    let ((count, dim), addresses) = (threads(client, before.len()), x.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: gates and inputs have rows · seq · width values, the others a value a segment and channel, and a
    // thread past the last one ends at once.
    unsafe {
        ends_kernel::launch_unchecked(
            client,
            count.clone(),
            dim,
            addresses,
            gate.clone().into_buffer(),
            x.clone().into_buffer(),
            factors.clone().into_buffer(),
            before.clone().into_buffer(),
            seq,
            width,
        );
    }
    join(client, sizes, factors, before.clone(), false);
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: as above; the states have rows · seq · width values.
    unsafe {
        states_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            gate.into_buffer(),
            x.into_buffer(),
            before.into_buffer(),
            states.into_buffer(),
            seq,
            width,
        );
    }
}

/// Computes the derivatives. The operands have the shape that the sizes say.
pub(crate) fn backward(
    client: &Client,
    sizes: Sizes,
    saved: Saved,
    by_gate: Operand,
    by_x: Operand,
) {
    let Sizes { seq, width, .. } = sizes;
    let Saved { gate, x, states, grad } = saved;
    let (factors, after) = (sizes.numbers(client), sizes.numbers(client));
    let ((count, dim), addresses) = (threads(client, after.len()), x.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: gates and slopes have rows · seq · width values, the others a value a segment and channel, and a
    // thread past the last one ends at once.
    unsafe {
        heads_kernel::launch_unchecked(
            client,
            count.clone(),
            dim,
            addresses,
            gate.clone().into_buffer(),
            grad.clone().into_buffer(),
            factors.clone().into_buffer(),
            after.clone().into_buffer(),
            seq,
            width,
        );
    }
    join(client, sizes, factors, after.clone(), true);
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: as above; all else has rows · seq · width values, and the first state of a row has none before it.
    unsafe {
        slopes_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            gate.into_buffer(),
            x.into_buffer(),
            states.into_buffer(),
            grad.into_buffer(),
            after.into_buffer(),
            by_gate.into_buffer(),
            by_x.into_buffer(),
            seq,
            width,
        );
    }
}

fn join(client: &Client, sizes: Sizes, factors: Operand, values: Operand, back: bool) {
    let Sizes { rows, width, .. } = sizes;
    let ((count, dim), addresses) = (threads(client, rows * width), values.addresses());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: both have a value a row, segment and channel, and a thread past the last row ends at once.
    unsafe {
        join_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            factors.into_buffer(),
            values.into_buffer(),
            sizes.segments(),
            width,
            back,
        );
    }
}

/// Returns the kernels of this file as they are compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let ends = compiled!(on, ends_kernel::EndsKernel, b(), b(), b(), b(), (), ());
    let heads = compiled!(on, heads_kernel::HeadsKernel, b(), b(), b(), b(), (), ());
    let forth = compiled!(on, join_kernel::JoinKernel, b(), b(), (), (), false);
    let back = compiled!(on, join_kernel::JoinKernel, b(), b(), (), (), true);
    let states = compiled!(on, states_kernel::StatesKernel, b(), b(), b(), b(), (), ());
    let slopes =
        compiled!(on, slopes_kernel::SlopesKernel, b(), b(), b(), b(), b(), b(), b(), (), ());
    vec![
        ("scan_segments_ends", Box::new(ends)),
        ("scan_segments_heads", Box::new(heads)),
        ("scan_segments_join", Box::new(forth)),
        ("scan_segments_join_back", Box::new(back)),
        ("scan_segments_states", Box::new(states)),
        ("scan_segments_slopes", Box::new(slopes)),
    ]
}

//! Gates, and the states of values and keys.

use cubecl::prelude::*;

use super::inputs::Inputs;
use super::segments;
use super::sizes::{Sizes, Strands};
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};
use crate::sigmoid::sigmoid;

/// With `g = sigmoid(gate + bias)` and `c` the mark of the time step:
/// `state_t = g c state_{t-1} + (1 - g) input_t`, for values and, with `keys`, for keys.
#[cube(launch_unchecked, address_type = "dynamic")]
fn forward_kernel<F: Float, S: Float>(
    projected: &[F],
    bias: &[f32],
    carry: &[f32],
    before: &[f32],
    values: &mut [S],
    keys: &mut [S],
    seq: usize,
    span: usize,
    columns: usize,
    carry_len: usize,
    count: usize,
    #[comptime] strands: Strands,
    #[comptime] repeats: usize,
    #[comptime] has_keys: bool,
    #[define(F, S)] _elements: [ElemType; 2],
) {
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let width = columns * repeats;
    let mut channels = 3 * width;
    if comptime!(has_keys) {
        channels += 2 * columns;
    }
    let column = ABSOLUTE_POS % columns;
    let in_row = (seq + span - 1) / span;
    let row = ABSOLUTE_POS / columns / in_row;
    let first = (ABSOLUTE_POS / columns % in_row) * span;
    let end = min(first + span, seq);
    let marks = (row * seq) % carry_len;
    let mut from = first;
    if comptime!(strands == Strands::Overlapping) {
        let mut looking = from > 0;
        while looking {
            if carry[marks + from] > f32::new(0.5_f32) {
                from -= 1;
                looking = from > 0;
            } else {
                looking = false;
            }
        }
    }
    let mut value_states = Array::<f32>::new(repeats);
    let mut key_states = Array::<f32>::new(repeats);
    #[unroll]
    for part in 0..repeats {
        value_states[part] = f32::new(0.0_f32);
        key_states[part] = f32::new(0.0_f32);
        if comptime!(strands == Strands::Joined) {
            value_states[part] = before[ABSOLUTE_POS];
        }
    }
    for t in from..end {
        let token = row * seq + t;
        let at = token * channels;
        let mut kept = f32::new(1.0_f32);
        if comptime!(strands != Strands::Chunks) {
            kept = carry[marks + t];
        }
        let mut key = f32::new(0.0_f32);
        if comptime!(has_keys) {
            key = f32::cast_from(projected[at + 3 * width + columns + column]);
        }
        #[unroll]
        for part in 0..repeats {
            let channel = column + part * columns;
            let gate = f32::cast_from(projected[at + 2 * width + channel]) + bias[channel];
            let gate = sigmoid(gate);
            let rest = f32::new(1.0_f32) - gate;
            let gate = gate * kept;
            let value = f32::cast_from(projected[at + width + channel]);
            let state = gate * value_states[part] + rest * value;
            value_states[part] = state;
            if t >= first {
                values[token * width + channel] = S::cast_from(state);
            }
            if comptime!(has_keys) {
                let state = gate * key_states[part] + rest * key;
                key_states[part] = state;
                if t >= first {
                    keys[token * width + channel] = S::cast_from(state);
                }
            }
        }
    }
}

/// What the forward pass writes, in f32 or in the type of the projection: [rows, seq, width].
#[derive(Clone, Debug)]
pub struct States {
    /// The states of the values.
    pub values: Operand,
    /// The states of the keys.
    pub keys: Option<Operand>,
}

/// Computes the states, in f32, and rounds them to their type.
pub fn forward(client: &Client, sizes: Sizes, inputs: Inputs, states: States) {
    inputs.assert_of(&sizes);
    assert_eq!(states.values.shape(), [sizes.rows, sizes.seq, sizes.width]);
    assert_eq!(states.keys.is_some(), sizes.key_width.is_some());
    if let Some(keys) = &states.keys {
        assert_alike([&states.values, keys]);
    }
    if sizes.threads() == 0 {
        return;
    }
    let before = match sizes.strands() {
        Strands::Joined => segments::before(client, sizes, inputs.clone()),
        _ => Operand::empty(client, [1, 1, 1]),
    };
    let Inputs { projected, bias, carry } = inputs;
    let States { values, keys } = states;
    let keys = keys.unwrap_or_else(|| Operand::empty(client, [1, 1, 1]));
    let ((count, dim), addresses) = (threads(client, sizes.threads()), projected.addresses());
    let (elements, carry_len) = ([projected.element(), values.element()], carry.len());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the tensors have the sizes that were asserted, a thread past the last one ends at once, and a strand
    // ends within its row. Of keys and `before` one value is enough where the kernel does not use them.
    unsafe {
        forward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            projected.into_buffer(),
            bias.into_buffer(),
            carry.into_buffer(),
            before.into_buffer(),
            values.into_buffer(),
            keys.into_buffer(),
            sizes.seq,
            sizes.span(),
            sizes.columns(),
            carry_len,
            sizes.threads(),
            sizes.strands(),
            sizes.repeats(),
            sizes.key_width.is_some(),
            elements,
        );
    }
}

/// Returns the kernel of this file as it is compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    use cubecl::ir::FloatKind;

    let b = || on.buffer();
    let kernel = |strands, repeats, has_keys, states| {
        compiled!(
            on,
            forward_kernel::ForwardKernel,
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
            (),
            strands,
            repeats,
            has_keys,
            [on.element, states],
        )
    };
    let exact = kernel(Strands::Chunks, 8, true, ElemType::Float(FloatKind::F32));
    vec![
        ("scan_forward_chunks", Box::new(kernel(Strands::Chunks, 8, true, on.element))),
        ("scan_forward_chunks_exact", Box::new(exact)),
        ("scan_forward_overlapping", Box::new(kernel(Strands::Overlapping, 8, true, on.element))),
        ("scan_forward_rows", Box::new(kernel(Strands::Rows, 1, false, on.element))),
        ("scan_forward_joined", Box::new(kernel(Strands::Joined, 1, false, on.element))),
    ]
}

//! The derivative by the whole projection: gates, values and keys by the scans, the rest handed on.

use cubecl::prelude::*;

use super::inputs::Inputs;
use super::segments;
use super::sizes::{Sizes, Strands};
#[cfg(feature = "cuda-source")]
use crate::machine::{Kernel, Machine, compiled};
use crate::operand::{Operand, assert_alike, threads};
use crate::sigmoid::sigmoid;

/// With `s_t = dstate_t + g_{t+1} c_{t+1} s_{t+1}`, computed from the end: `dinput_t = s_t (1 - g_t)` and
/// `dg_t = s_t (c_t state_{t-1} - input_t)`, summed over the scans.
#[cube(launch_unchecked, address_type = "dynamic")]
fn backward_kernel<F: Float>(
    projected: &[F],
    bias: &[f32],
    carry: &[f32],
    after: &[f32],
    values: &[F],
    keys: &[F],
    by_z: &[F],
    by_q: &[F],
    by_values: &[F],
    by_keys: &[F],
    by_projected: &mut [F],
    by_bias: &mut [f32],
    seq: usize,
    span: usize,
    columns: usize,
    carry_len: usize,
    count: usize,
    #[comptime] strands: Strands,
    #[comptime] repeats: usize,
    #[comptime] has_keys: bool,
    #[define(F)] _element: ElemType,
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
    let mut until = end;
    if comptime!(strands == Strands::Overlapping) {
        let mut looking = until < seq;
        while looking {
            if carry[marks + until] > f32::new(0.5_f32) {
                until += 1;
                looking = until < seq;
            } else {
                looking = false;
            }
        }
    }
    // Where there is no state before.
    let mut start = 0;
    if comptime!(strands == Strands::Chunks) {
        start = first;
    }
    let mut value_slopes = Array::<f32>::new(repeats);
    let mut key_slopes = Array::<f32>::new(repeats);
    let mut bias_slopes = Array::<f32>::new(repeats);
    #[unroll]
    for part in 0..repeats {
        value_slopes[part] = f32::new(0.0_f32);
        key_slopes[part] = f32::new(0.0_f32);
        bias_slopes[part] = f32::new(0.0_f32);
        if comptime!(strands == Strands::Joined) {
            value_slopes[part] = after[ABSOLUTE_POS];
        }
    }
    for back in 0..until - first {
        let t = until - 1 - back;
        let token = row * seq + t;
        let at = token * channels;
        let mut kept = f32::new(1.0_f32);
        if comptime!(strands != Strands::Chunks) {
            kept = carry[marks + t];
        }
        if t == start {
            kept = f32::new(0.0_f32);
        }
        let has_before = kept > f32::new(0.5_f32);
        let mut key = f32::new(0.0_f32);
        let mut by_key = f32::new(0.0_f32);
        if comptime!(has_keys) {
            key = f32::cast_from(projected[at + 3 * width + columns + column]);
        }
        #[unroll]
        for part in 0..repeats {
            let channel = column + part * columns;
            let state = token * width + channel;
            let gate = f32::cast_from(projected[at + 2 * width + channel]) + bias[channel];
            let gate = sigmoid(gate);
            let rest = f32::new(1.0_f32) - gate;
            let slope = f32::cast_from(by_values[state]) + value_slopes[part];
            value_slopes[part] = slope * gate * kept;
            let by_value = slope * rest;
            let mut before = f32::new(0.0_f32);
            if has_before {
                before = f32::cast_from(values[state - width]);
            }
            let value = f32::cast_from(projected[at + width + channel]);
            let mut by_gate = slope * (before - value);
            if comptime!(has_keys) {
                let slope = f32::cast_from(by_keys[state]) + key_slopes[part];
                key_slopes[part] = slope * gate * kept;
                by_key += slope * rest;
                let mut before = f32::new(0.0_f32);
                if has_before {
                    before = f32::cast_from(keys[state - width]);
                }
                by_gate += slope * (before - key);
            }
            if t < end {
                let by_gate = by_gate * gate * rest;
                bias_slopes[part] += by_gate;
                by_projected[at + channel] = by_z[state];
                by_projected[at + width + channel] = F::cast_from(by_value);
                by_projected[at + 2 * width + channel] = F::cast_from(by_gate);
            }
        }
        if comptime!(has_keys) {
            if t < end {
                by_projected[at + 3 * width + column] = by_q[token * columns + column];
                by_projected[at + 3 * width + columns + column] = F::cast_from(by_key);
            }
        }
    }
    let strand = ABSOLUTE_POS / columns;
    #[unroll]
    for part in 0..repeats {
        by_bias[strand * width + part * columns + column] = bias_slopes[part];
    }
}

/// What the backward pass reads with the inputs: all of one type.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The states of the values: [rows, seq, width].
    pub values: Operand,
    /// The derivatives by them.
    pub by_values: Operand,
    /// The derivatives by the output gates: [rows, seq, width].
    pub by_z: Operand,
    /// Where there are keys, their states and the derivatives by these, [rows, seq, width], and those by the
    /// queries: [rows, seq, `key_width`].
    pub keys: Option<[Operand; 3]>,
}

/// What the backward pass writes.
#[derive(Clone, Debug)]
pub struct Slopes {
    /// The derivatives by the projection.
    pub by_projected: Operand,
    /// The derivatives by the bias of the gates, in f32, of each strand: [rows · strands of a row, width].
    pub by_bias: Operand,
}

/// Computes the derivatives.
pub fn backward(client: &Client, sizes: Sizes, inputs: Inputs, saved: Saved, slopes: Slopes) {
    inputs.assert_of(&sizes);
    let Inputs { projected, bias, carry } = inputs;
    let Slopes { by_projected, by_bias } = slopes;
    assert_alike([&projected, &by_projected]);
    assert_eq!(by_bias.shape(), [sizes.rows * sizes.strands_of_a_row(), sizes.width]);
    let Saved { values, by_values, by_z, keys } = saved;
    assert_eq!(values.shape(), [sizes.rows, sizes.seq, sizes.width]);
    assert_eq!(values.element(), projected.element());
    assert_alike([&values, &by_values, &by_z]);
    assert_eq!(keys.is_some(), sizes.key_width.is_some());
    if let (Some([states, by_states, by_q]), Some(width)) = (&keys, sizes.key_width) {
        assert_alike([&values, states, by_states]);
        assert_eq!(by_q.shape(), [sizes.rows, sizes.seq, width]);
        assert_eq!(by_q.element(), projected.element());
    }
    if sizes.threads() == 0 {
        return;
    }
    let after = match sizes.strands() {
        Strands::Joined => {
            let inputs =
                Inputs { projected: projected.clone(), bias: bias.clone(), carry: carry.clone() };
            segments::after(client, sizes, inputs, by_values.clone())
        }
        _ => Operand::empty(client, [1, 1, 1]),
    };
    // The kernel does not read what is not there.
    let [keys, by_keys, by_q] =
        keys.unwrap_or_else(|| [values.clone(), by_values.clone(), by_z.clone()]);
    let ((count, dim), addresses) = (threads(client, sizes.threads()), projected.addresses());
    let (element, carry_len) = (projected.element(), carry.len());
    #[expect(unsafe_code, reason = "a kernel's launch without bounds checks")]
    // SAFETY: the tensors have the sizes that were asserted, a thread past the last one ends at once, and a strand
    // ends within its row. The first state of a row has none before it, by the mark or by `start`.
    unsafe {
        backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            addresses,
            projected.into_buffer(),
            bias.into_buffer(),
            carry.into_buffer(),
            after.into_buffer(),
            values.into_buffer(),
            keys.into_buffer(),
            by_z.into_buffer(),
            by_q.into_buffer(),
            by_values.into_buffer(),
            by_keys.into_buffer(),
            by_projected.into_buffer(),
            by_bias.into_buffer(),
            sizes.seq,
            sizes.span(),
            sizes.columns(),
            carry_len,
            sizes.threads(),
            sizes.strands(),
            sizes.repeats(),
            sizes.key_width.is_some(),
            element,
        );
    }
}

/// Returns the kernel of this file as it is compiled for a machine.
#[cfg(feature = "cuda-source")]
pub(crate) fn kernels(on: &Machine) -> Vec<Kernel> {
    let b = || on.buffer();
    let kernel = |strands, repeats, has_keys| {
        compiled!(
            on,
            backward_kernel::BackwardKernel,
            b(),
            b(),
            b(),
            b(),
            b(),
            b(),
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
            on.element,
        )
    };
    vec![
        ("scan_backward_chunks", Box::new(kernel(Strands::Chunks, 8, true))),
        ("scan_backward_overlapping", Box::new(kernel(Strands::Overlapping, 8, true))),
        ("scan_backward_rows", Box::new(kernel(Strands::Rows, 1, false))),
        ("scan_backward_joined", Box::new(kernel(Strands::Joined, 1, false))),
    ]
}

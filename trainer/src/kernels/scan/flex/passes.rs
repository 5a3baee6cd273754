//! The two passes over some tokens of a row, whose first states begin from zero.
#![expect(
    clippy::inline_always,
    reason = "a loop has the instructions of the function that it is in"
)]

use super::super::sizes::Parts;
use crate::kernels::vector_level::{Vectorized, sigmoid};

/// What both passes read.
pub(super) struct Row<'a> {
    pub(super) projected: &'a [f32],
    /// 0 where states begin from zero, for each token.
    pub(super) carry: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) parts: &'a Parts,
}

impl<'a> Row<'a> {
    /// Returns the channels of a token.
    #[inline(always)]
    fn token(&self, t: usize) -> &'a [f32] {
        let channels = self.parts.keys.end;
        &self.projected[t * channels..(t + 1) * channels]
    }

    #[inline(always)]
    fn begins(&self, t: usize) -> bool {
        t == 0 || self.carry[t] == 0.0
    }
}

/// The gates of a token, and what they lack to 1.
struct Gates {
    gate: Vec<f32>,
    rest: Vec<f32>,
}

impl Gates {
    #[inline(always)]
    fn new(width: usize) -> Self {
        Self { gate: vec![0.0; width], rest: vec![0.0; width] }
    }

    #[inline(always)]
    fn set(&mut self, row: &Row<'_>, token: &[f32]) {
        let inputs = token[row.parts.gates.clone()].iter().zip(row.bias);
        for ((gate, rest), (input, bias)) in self.gate.iter_mut().zip(&mut self.rest).zip(inputs) {
            (*gate, *rest) = sigmoid(input + bias);
        }
    }
}

pub(super) struct Forward<'a> {
    pub(super) row: Row<'a>,
    pub(super) values: &'a mut [f32],
    pub(super) keys: Option<&'a mut [f32]>,
}

impl Vectorized for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { row, values, mut keys } = self;
        let width = row.parts.width();
        let (mut gates, zeros) = (Gates::new(width), vec![0.0; width]);
        for t in 0..row.carry.len() {
            let (token, begins) = (row.token(t), row.begins(t));
            gates.set(&row, token);
            let zeros = begins.then_some(zeros.as_slice());
            advance(&gates, &token[row.parts.values.clone()], values, t, zeros);
            if let Some(keys) = &mut keys {
                advance(&gates, &token[row.parts.keys.clone()], keys, t, zeros);
            }
        }
    }
}

/// Computes the state of a token from that of the one before it, or from zeros. The inputs repeat over the channels.
#[inline(always)]
fn advance(gates: &Gates, inputs: &[f32], states: &mut [f32], t: usize, zeros: Option<&[f32]>) {
    let (width, count) = (gates.gate.len(), inputs.len());
    let (before, after) = states.split_at_mut(t * width);
    let before = zeros.unwrap_or_else(|| &before[before.len() - width..]);
    let states = after[..width].chunks_exact_mut(count).zip(before.chunks_exact(count));
    let gates = gates.gate.chunks_exact(count).zip(gates.rest.chunks_exact(count));
    for ((states, before), (gate, rest)) in states.zip(gates) {
        let each = before.iter().zip(inputs).zip(gate.iter().zip(rest));
        for (state, ((before, input), (gate, rest))) in states.iter_mut().zip(each) {
            *state = gate * before + rest * input;
        }
    }
}

/// The states, and the derivatives by the outputs.
pub(super) struct SlopesOfRow<'a> {
    pub(super) values: &'a [f32],
    pub(super) by_values: &'a [f32],
    pub(super) by_z: &'a [f32],
    /// The states of keys, and the derivatives by them and by the queries.
    pub(super) keys: Option<[&'a [f32]; 3]>,
}

pub(super) struct Backward<'a> {
    pub(super) row: Row<'a>,
    pub(super) known: SlopesOfRow<'a>,
    pub(super) by_projected: &'a mut [f32],
}

impl Vectorized for Backward<'_> {
    /// The derivative by the bias.
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<const FUSED: bool>(self) -> Vec<f32> {
        let Self { row, known, by_projected } = self;
        let (parts, width, key_width) = (row.parts, row.parts.width(), row.parts.keys.len());
        let mut by_bias = vec![0.0; width];
        let (mut gates, mut by_gate) = (Gates::new(width), vec![0.0; width]);
        let [mut of_values, mut of_keys] = [vec![0.0; width], vec![0.0; width]];
        let zeros = vec![0.0; width];
        for (t, by_token) in by_projected.chunks_exact_mut(parts.keys.end).enumerate().rev() {
            let (token, own) = (row.token(t), t * width..(t + 1) * width);
            let begins = row.begins(t);
            gates.set(&row, token);
            by_gate.fill(0.0);
            recede(
                &gates,
                &Step {
                    inputs: &token[parts.values.clone()],
                    before: state_before(known.values, t, begins, &zeros),
                    by_states: &known.by_values[own.clone()],
                },
                &mut of_values,
                &mut by_gate,
                &mut by_token[parts.values.clone()],
            );
            by_token[parts.z.clone()].copy_from_slice(&known.by_z[own.clone()]);
            if let Some([keys, by_keys, by_q]) = known.keys {
                recede(
                    &gates,
                    &Step {
                        inputs: &token[parts.keys.clone()],
                        before: state_before(keys, t, begins, &zeros),
                        by_states: &by_keys[own],
                    },
                    &mut of_keys,
                    &mut by_gate,
                    &mut by_token[parts.keys.clone()],
                );
                let by_q = &by_q[t * key_width..(t + 1) * key_width];
                by_token[parts.queries.clone()].copy_from_slice(by_q);
            }
            let by_gates = by_token[parts.gates.clone()].iter_mut().zip(&mut by_bias);
            let each = by_gate.iter().zip(gates.gate.iter().zip(&gates.rest));
            for ((by_input, by_bias), (by_gate, (gate, rest))) in by_gates.zip(each) {
                *by_input = by_gate * gate * rest;
                *by_bias += *by_input;
            }
            if begins {
                of_values.fill(0.0);
                of_keys.fill(0.0);
            }
        }
        by_bias
    }
}

/// Returns the state before a token.
#[inline(always)]
fn state_before<'a>(states: &'a [f32], t: usize, begins: bool, zeros: &'a [f32]) -> &'a [f32] {
    if begins { zeros } else { &states[(t - 1) * zeros.len()..t * zeros.len()] }
}

/// What the derivatives of a token depend on.
struct Step<'a> {
    inputs: &'a [f32],
    before: &'a [f32],
    by_states: &'a [f32],
}

/// Adds the derivatives by the gates, sets those by the inputs, which repeat over the channels, and replaces the slope
/// that comes from the token after by that which goes to the one before.
#[inline(always)]
fn recede(
    gates: &Gates,
    step: &Step<'_>,
    slopes: &mut [f32],
    by_gate: &mut [f32],
    by_inputs: &mut [f32],
) {
    let count = by_inputs.len();
    let Step { inputs, before, by_states } = *step;
    by_inputs.fill(0.0);
    let slopes = slopes.chunks_exact_mut(count).zip(by_gate.chunks_exact_mut(count));
    let states = before.chunks_exact(count).zip(by_states.chunks_exact(count));
    let gates = gates.gate.chunks_exact(count).zip(gates.rest.chunks_exact(count));
    for (((slopes, by_gate), (before, by_states)), (gate, rest)) in slopes.zip(states).zip(gates) {
        let outputs = slopes.iter_mut().zip(by_gate).zip(by_inputs.iter_mut());
        let known = before.iter().zip(by_states).zip(inputs).zip(gate.iter().zip(rest));
        for (((carried, by_gate), by_input), (((before, by_state), input), (gate, rest))) in
            outputs.zip(known)
        {
            let slope = by_state + *carried;
            *by_gate += slope * (before - input);
            *by_input += slope * rest;
            *carried = slope * gate;
        }
    }
}

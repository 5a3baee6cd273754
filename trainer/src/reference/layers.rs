//! The layers by their definitions, for one sequence.

use super::tape::{Tape, Var};
use crate::model::MixerKind;

/// One vector for each token of a sequence.
pub type Sequence = Vec<Vec<Var>>;

/// The numbers of a layer other than its weights.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Number of heads.
    pub heads: usize,
    /// Tokens in a chunk of `rat`.
    pub chunk_len: usize,
    /// Groups of queries and keys of `rat`.
    pub kv_groups: usize,
    /// Earlier tokens that a query of `local_attention` sees.
    pub window: usize,
    /// What the norm adds to the mean square.
    pub eps: f64,
    /// Base of the rotary angles.
    pub rope_base: f64,
}

/// The weights of a sequence layer; matrices are lists of rows, `[out][in]`.
#[derive(Clone, Debug)]
pub struct MixerWeights {
    /// Gain of the norm.
    pub input_norm: Vec<Var>,
    /// Projections in.
    pub in_proj: Vec<Vec<Var>>,
    /// Projection out.
    pub out_proj: Vec<Vec<Var>>,
    /// Added to the gate before the sigmoid; empty where there is no gate.
    pub gate_bias: Vec<Var>,
}

/// The weights of a feed-forward layer.
#[derive(Clone, Debug)]
pub struct FfnWeights {
    /// Gain of the norm.
    pub ln: Vec<Var>,
    /// The projection up.
    pub fc1: Vec<Vec<Var>>,
    /// The projection down.
    pub fc2: Vec<Vec<Var>>,
}

impl Layer {
    /// Applies a sequence layer and adds its input.
    #[expect(clippy::many_single_char_names, reason = "the definition's own letters")]
    pub fn mix(
        &self,
        tape: &mut Tape,
        kind: MixerKind,
        w: &MixerWeights,
        x: &Sequence,
    ) -> Sequence {
        let width = w.input_norm.len();
        let projected: Sequence = x
            .iter()
            .map(|token| {
                let normed = self.norm(tape, token, &w.input_norm);
                product(tape, &w.in_proj, &normed)
            })
            .collect();
        let channels = |start: usize, length: usize| -> Sequence {
            projected.iter().map(|token| token[start..start + length].to_vec()).collect()
        };
        let mixed = match kind {
            MixerKind::Attention | MixerKind::LocalAttention => {
                let window = if kind == MixerKind::Attention { x.len() } else { self.window };
                let (v, q, k) =
                    (channels(0, width), channels(width, width), channels(2 * width, width));
                self.attention(tape, &v, q, k, window)
            }
            MixerKind::Rnn => {
                let (z, v, g) =
                    (channels(0, width), channels(width, width), channels(2 * width, width));
                let gates = gates(tape, &g, &w.gate_bias);
                let states = recurrence(tape, &gates, &v, x.len());
                self.gated(tape, &z, &states)
            }
            MixerKind::Rat => {
                let (z, v, g) =
                    (channels(0, width), channels(width, width), channels(2 * width, width));
                let group = self.kv_groups * width / self.heads;
                let tile = |x: Sequence| -> Sequence {
                    x.iter().map(|token| token.repeat(self.heads / self.kv_groups)).collect()
                };
                let q = tile(channels(3 * width, group));
                let k = tile(channels(3 * width + group, group));
                let gates = gates(tape, &g, &w.gate_bias);
                let v = recurrence(tape, &gates, &v, self.chunk_len);
                let k = recurrence(tape, &gates, &k, self.chunk_len);
                let mixed = self.between_chunks(tape, &v, q, k);
                self.gated(tape, &z, &mixed)
            }
        };
        let out = mixed.iter().map(|token| product(tape, &w.out_proj, token)).collect();
        plus(tape, x, &out)
    }

    /// Applies a feed-forward layer and adds its input.
    pub fn feed_forward(&self, tape: &mut Tape, w: &FfnWeights, x: &Sequence) -> Sequence {
        let out = x
            .iter()
            .map(|token| {
                let normed = self.norm(tape, token, &w.ln);
                let inner: Vec<Var> =
                    product(tape, &w.fc1, &normed).into_iter().map(|h| tape.gelu(h)).collect();
                product(tape, &w.fc2, &inner)
            })
            .collect();
        plus(tape, x, &out)
    }

    /// Divides a vector by its root mean square and scales it by `gain`.
    pub fn norm(&self, tape: &mut Tape, x: &[Var], gain: &[Var]) -> Vec<Var> {
        let square = tape.dot(x, x);
        let mean = tape.affine(square, 1.0 / x.len() as f64, self.eps);
        let inverse = tape.inverse_sqrt(mean);
        x.iter()
            .zip(gain)
            .map(|(&x, &gain)| {
                let normed = tape.mul(x, inverse);
                tape.mul(normed, gain)
            })
            .collect()
    }

    fn attention(
        &self,
        tape: &mut Tape,
        v: &Sequence,
        mut q: Sequence,
        mut k: Sequence,
        window: usize,
    ) -> Sequence {
        for (t, (q, k)) in q.iter_mut().zip(&mut k).enumerate() {
            self.rotate(tape, q, t);
            self.rotate(tape, k, t);
        }
        (0..q.len())
            .map(|t| {
                let seen: Vec<usize> = (t.saturating_sub(window)..=t).collect();
                self.attend(tape, &q[t], &k, v, &seen)
            })
            .collect()
    }

    fn between_chunks(
        &self,
        tape: &mut Tape,
        v: &Sequence,
        mut q: Sequence,
        mut k: Sequence,
    ) -> Sequence {
        for (t, (q, k)) in q.iter_mut().zip(&mut k).enumerate() {
            self.rotate(tape, q, t / self.chunk_len);
            self.rotate(tape, k, t / self.chunk_len);
        }
        (0..q.len())
            .map(|t| {
                let mut seen: Vec<usize> =
                    (0..t / self.chunk_len).map(|chunk| (chunk + 1) * self.chunk_len - 1).collect();
                seen.push(t);
                self.attend(tape, &q[t], &k, v, &seen)
            })
            .collect()
    }

    /// Computes one query's softmax over the keys that it sees, head by head.
    fn attend(
        &self,
        tape: &mut Tape,
        q: &[Var],
        k: &Sequence,
        v: &Sequence,
        seen: &[usize],
    ) -> Vec<Var> {
        let head_dim = q.len() / self.heads;
        let mut out = Vec::with_capacity(q.len());
        for head in 0..self.heads {
            let channels = head * head_dim..(head + 1) * head_dim;
            let scores: Vec<Var> = seen
                .iter()
                .map(|&j| {
                    let score = tape.dot(&q[channels.clone()], &k[j][channels.clone()]);
                    tape.affine(score, (head_dim as f64).powf(-0.5), 0.0)
                })
                .collect();
            let weights = softmax(tape, &scores);
            for channel in channels {
                let values: Vec<Var> = seen.iter().map(|&j| v[j][channel]).collect();
                out.push(tape.dot(&weights, &values));
            }
        }
        out
    }

    /// Rotates the pairs (i, i + half) of each head by `position` times their speed.
    fn rotate(&self, tape: &mut Tape, x: &mut [Var], position: usize) {
        let head_dim = x.len() / self.heads;
        let half = head_dim / 2;
        for head in x.chunks_mut(head_dim) {
            for i in 0..half {
                let speed = self.rope_base.powf(-2.0 * i as f64 / head_dim as f64);
                let (sin, cos) = (position as f64 * speed).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                let (a_cos, a_sin) = (tape.affine(a, cos, 0.0), tape.affine(a, sin, 0.0));
                let (b_cos, b_sin) = (tape.affine(b, cos, 0.0), tape.affine(b, sin, 0.0));
                head[i] = tape.sub(a_cos, b_sin);
                head[i + half] = tape.add(b_cos, a_sin);
            }
        }
    }

    #[expect(clippy::unused_self, reason = "it reads as one of the layer's steps")]
    fn gated(&self, tape: &mut Tape, z: &Sequence, y: &Sequence) -> Sequence {
        z.iter()
            .zip(y)
            .map(|(z, y)| {
                z.iter()
                    .zip(y)
                    .map(|(&z, &y)| {
                        let open = tape.sigmoid(z);
                        tape.mul(open, y)
                    })
                    .collect()
            })
            .collect()
    }
}

fn gates(tape: &mut Tape, g: &Sequence, bias: &[Var]) -> Sequence {
    g.iter()
        .map(|token| {
            token
                .iter()
                .zip(bias)
                .map(|(&g, &bias)| {
                    let sum = tape.add(g, bias);
                    tape.sigmoid(sum)
                })
                .collect()
        })
        .collect()
}

/// Runs the recurrence from a state of zero at the start of each chunk.
fn recurrence(tape: &mut Tape, gates: &Sequence, x: &Sequence, chunk_len: usize) -> Sequence {
    let mut states: Sequence = Vec::with_capacity(x.len());
    for (t, (gates, x)) in gates.iter().zip(x).enumerate() {
        let state = gates
            .iter()
            .zip(x)
            .enumerate()
            .map(|(channel, (&g, &x))| {
                let rest = tape.affine(g, -1.0, 1.0);
                let new = tape.mul(rest, x);
                if t.is_multiple_of(chunk_len) {
                    return new;
                }
                let kept = tape.mul(g, states[t - 1][channel]);
                tape.add(kept, new)
            })
            .collect();
        states.push(state);
    }
    states
}

/// The weights of a softmax.
pub(super) fn softmax(tape: &mut Tape, scores: &[Var]) -> Vec<Var> {
    let highest = scores.iter().map(|&s| tape.value(s)).fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<Var> = scores
        .iter()
        .map(|&score| {
            let below = tape.affine(score, 1.0, -highest);
            tape.exp(below)
        })
        .collect();
    let total = tape.sum(&powers);
    powers.into_iter().map(|power| tape.div(power, total)).collect()
}

/// Multiplies a matrix, `[out][in]`, by a vector.
pub(super) fn product(tape: &mut Tape, weight: &[Vec<Var>], x: &[Var]) -> Vec<Var> {
    weight.iter().map(|row| tape.dot(row, x)).collect()
}

fn plus(tape: &mut Tape, a: &Sequence, b: &Sequence) -> Sequence {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| tape.add(a, b)).collect()).collect()
}

//! The whole model by its definition, for one sequence.

use super::layers::{FfnWeights, Layer, MixerWeights, Sequence, product, softmax};
use super::tape::{Tape, Var};
use crate::model::MixerKind;

/// The weights of a block.
#[derive(Clone, Debug)]
pub struct BlockWeights {
    /// Which sequence layer it has.
    pub kind: MixerKind,
    /// The sequence layer.
    pub seq: MixerWeights,
    /// The feed-forward layer.
    pub ffn: FfnWeights,
}

/// A model with its weights on a tape.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The numbers of the layers.
    pub layer: Layer,
    /// The embedding, one row a token id; the output layer too.
    pub wte: Vec<Vec<Var>>,
    /// The blocks.
    pub blocks: Vec<BlockWeights>,
    /// Gain of the last norm.
    pub ln: Vec<Var>,
}

impl Decoder {
    /// Computes the logits at every token.
    pub fn logits(&self, tape: &mut Tape, tokens: &[usize]) -> Sequence {
        let mut x: Sequence = tokens.iter().map(|&token| self.wte[token].clone()).collect();
        for block in &self.blocks {
            x = self.layer.mix(tape, block.kind, &block.seq, &x);
            x = self.layer.feed_forward(tape, &block.ffn, &x);
        }
        x.iter()
            .map(|token| {
                let normed = self.layer.norm(tape, token, &self.ln);
                product(tape, &self.wte, &normed)
            })
            .collect()
    }

    /// Sums the negative log-likelihood over the labels that count.
    pub fn nll(&self, tape: &mut Tape, logits: &Sequence, labels: &[Option<usize>]) -> Var {
        let terms: Vec<Var> = logits
            .iter()
            .zip(labels)
            .filter_map(|(logits, label)| label.map(|label| (logits, label)))
            .map(|(logits, label)| {
                let weights = softmax(tape, logits);
                let log = tape.ln(weights[label]);
                tape.affine(log, -1.0, 0.0)
            })
            .collect();
        tape.sum(&terms)
    }
}

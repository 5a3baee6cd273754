//! The configuration of a model: everything that decides the shape of its parameters.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_error::ModelConfigError;
use crate::convert::non_zero;

/// The kinds of sequence layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixerKind {
    /// Causal softmax attention over all earlier tokens.
    Attention,
    /// Causal softmax attention over the last `window` tokens and the token itself.
    LocalAttention,
    /// A gated linear recurrence over the whole sequence.
    Rnn,
    /// A gated recurrence within chunks, softmax attention between them.
    Rat,
}

impl MixerKind {
    /// Returns whether the layer has a gate, and so a `gate_bias`.
    pub fn is_gated(self) -> bool {
        matches!(self, Self::Rnn | Self::Rat)
    }
}

/// Configures a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Rows of the embedding; at least the largest token id plus one.
    pub vocab_size: NonZeroUsize,
    /// Width of the residual stream.
    pub d_model: NonZeroUsize,
    /// Number of blocks.
    pub layers: NonZeroUsize,
    /// Width of one head; `d_model` is a multiple of it.
    pub head_dim: NonZeroUsize,
    /// Inputs in a sequence, which has one more token: the last label.
    pub seq_len: NonZeroUsize,
    /// The sequence layers, repeated over the blocks: block i has `mixers[i % mixers.len()]`.
    pub mixers: Vec<MixerKind>,
    /// Tokens in a chunk of `rat`; `seq_len` is a multiple of it.
    #[serde(default = "default_chunk_len")]
    pub chunk_len: NonZeroUsize,
    /// Groups of queries and keys that the heads of `rat` share.
    #[serde(default = "default_kv_groups")]
    pub kv_groups: NonZeroUsize,
    /// Tokens before its own that a query of `local_attention` sees.
    #[serde(default = "default_window")]
    pub window: NonZeroUsize,
    /// Width of the feed-forward layer, in multiples of `d_model`.
    #[serde(default = "default_ffn_mult")]
    pub ffn_mult: NonZeroUsize,
    /// What `RMSNorm` adds to the mean square.
    #[serde(default = "default_norm_eps")]
    pub norm_eps: f64,
    /// Base of the rotary angles.
    #[serde(default = "default_rope_base")]
    pub rope_base: f64,
    /// Standard deviation of the initial weights.
    #[serde(default = "default_init_std")]
    pub init_std: f64,
}

const fn default_chunk_len() -> NonZeroUsize {
    non_zero!(16)
}

const fn default_kv_groups() -> NonZeroUsize {
    non_zero!(2)
}

const fn default_window() -> NonZeroUsize {
    non_zero!(1024)
}

const fn default_ffn_mult() -> NonZeroUsize {
    non_zero!(4)
}

const fn default_norm_eps() -> f64 {
    1e-6
}

const fn default_rope_base() -> f64 {
    10_000.0
}

const fn default_init_std() -> f64 {
    0.02
}

/// The numbers a mixer needs in addition to its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixerShape {
    /// Which mixer it is.
    pub kind: MixerKind,
    /// Number of heads.
    pub heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Tokens in a chunk of `rat`.
    pub chunk_len: usize,
    /// Groups of queries and keys of `rat`.
    pub kv_groups: usize,
    /// Earlier tokens that a query of `local_attention` sees.
    pub window: usize,
    /// What the norm adds to the mean square.
    pub eps: f64,
}

impl ModelConfig {
    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Returns [`ModelConfigError`] for the first number that does not fit.
    pub fn validate(&self) -> Result<(), ModelConfigError> {
        self.check_sizes()?;
        let (d_model, head_dim) = (self.d_model.get(), self.head_dim.get());
        if self.mixers.is_empty() {
            return Err(ModelConfigError::NoMixers);
        }
        if !d_model.is_multiple_of(head_dim) {
            return Err(ModelConfigError::Heads { d_model, head_dim });
        }
        if !head_dim.is_multiple_of(2) {
            return Err(ModelConfigError::OddHead { head_dim });
        }
        if self.has(MixerKind::Rat) {
            let (seq_len, chunk_len) = (self.seq_len.get(), self.chunk_len.get());
            if !seq_len.is_multiple_of(chunk_len) {
                return Err(ModelConfigError::Chunks { seq_len, chunk_len });
            }
            let (kv_groups, heads) = (self.kv_groups.get(), self.heads());
            if !heads.is_multiple_of(kv_groups) {
                return Err(ModelConfigError::Groups { kv_groups, heads });
            }
        }
        let positive = [
            ("norm_eps", self.norm_eps),
            ("rope_base", self.rope_base),
            ("init_std", self.init_std),
        ];
        for (key, found) in positive {
            if !(found.is_finite() && found > 0.0) {
                return Err(ModelConfigError::NotPositive { key, found });
            }
        }
        Ok(())
    }

    /// Checks each size by itself, so that no count of parameters or bytes overflows.
    fn check_sizes(&self) -> Result<(), ModelConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("d_model", self.d_model, 1 << 17),
            ("layers", self.layers, 1 << 12),
            ("head_dim", self.head_dim, 1 << 17),
            ("seq_len", self.seq_len, 1 << 24),
            ("chunk_len", self.chunk_len, 1 << 24),
            ("kv_groups", self.kv_groups, 1 << 17),
            ("window", self.window, 1 << 31),
            ("ffn_mult", self.ffn_mult, 1 << 8),
        ];
        match sizes.into_iter().find(|(_, found, most)| found.get() > *most) {
            Some((key, found, most)) => {
                Err(ModelConfigError::TooLarge { key, found: found.get(), most })
            }
            None => Ok(()),
        }
    }

    /// Returns the number of heads.
    pub fn heads(&self) -> usize {
        self.d_model.get() / self.head_dim.get()
    }

    /// Returns the sequence layer of block `layer`, counted from 0.
    pub fn mixer(&self, layer: usize) -> MixerKind {
        self.mixers[layer % self.mixers.len()]
    }

    /// Returns whether any block has a sequence layer of this kind.
    pub fn has(&self, kind: MixerKind) -> bool {
        self.mixers.iter().take(self.layers.get()).any(|&mixer| mixer == kind)
    }

    /// Returns the numbers of a sequence layer of this kind.
    pub(crate) fn mixer_shape(&self, kind: MixerKind) -> MixerShape {
        MixerShape {
            kind,
            heads: self.heads(),
            head_dim: self.head_dim.get(),
            chunk_len: self.chunk_len.get(),
            kv_groups: self.kv_groups.get(),
            window: self.window.get(),
            eps: self.norm_eps,
        }
    }

    /// Returns the width that `in_proj` of a sequence layer has.
    pub fn in_proj_width(&self, kind: MixerKind) -> usize {
        let d_model = self.d_model.get();
        match kind {
            MixerKind::Attention | MixerKind::LocalAttention | MixerKind::Rnn => 3 * d_model,
            MixerKind::Rat => 3 * d_model + 2 * self.kv_groups.get() * self.head_dim.get(),
        }
    }

    /// Returns the shape of each parameter by its name in files.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let width = self.d_model.get();
        let inner = width * self.ffn_mult.get();
        let mut shapes = BTreeMap::from([
            ("wte".to_owned(), vec![self.vocab_size.get(), width]),
            ("ln".to_owned(), vec![width]),
        ]);
        for layer in 0..self.layers.get() {
            let kind = self.mixer(layer);
            let mut add = |name: &str, shape: &[usize]| {
                shapes.insert(format!("layers.{layer}.{name}"), shape.to_vec());
            };
            add("seq.input_norm", &[width]);
            add("seq.in_proj", &[self.in_proj_width(kind), width]);
            add("seq.out_proj", &[width, width]);
            if kind.is_gated() {
                add("seq.gate_bias", &[width]);
            }
            add("ffn.ln", &[width]);
            add("ffn.fc1", &[inner, width]);
            add("ffn.fc2", &[width, inner]);
        }
        shapes
    }

    /// Returns the number of parameters; the tied embedding counts once.
    pub fn num_params(&self) -> u64 {
        let d_model = self.d_model.get() as u64;
        let ffn = 2 * d_model * d_model * self.ffn_mult.get() as u64 + d_model;
        let blocks: u64 = (0..self.layers.get())
            .map(|layer| {
                let kind = self.mixer(layer);
                let projections = d_model * (self.in_proj_width(kind) as u64 + d_model);
                let gate = if kind.is_gated() { d_model } else { 0 };
                projections + gate + d_model + ffn
            })
            .sum();
        blocks + self.vocab_size.get() as u64 * d_model + d_model
    }

    /// Returns the floating-point operations of one token, forward and backward.
    ///
    /// These are six for each weight of a matrix product, the tied output layer included, and
    /// twelve for each channel of each key that a query sees on average. Recomputation is not
    /// counted.
    pub fn flops_per_token(&self) -> u64 {
        let d_model = self.d_model.get() as u64;
        let mut weights = self.vocab_size.get() as u64 * d_model;
        let mut keys = 0;
        for layer in 0..self.layers.get() {
            let kind = self.mixer(layer);
            weights += d_model * (self.in_proj_width(kind) as u64 + d_model);
            weights += 2 * d_model * d_model * self.ffn_mult.get() as u64;
            keys += self.keys_seen(kind);
        }
        6 * weights + 12 * d_model * keys
    }

    /// Returns how many keys a query sees on average.
    pub(crate) fn keys_seen(&self, kind: MixerKind) -> u64 {
        let seq_len = self.seq_len.get() as u64;
        let window = (self.window.get() as u64).min(seq_len);
        match kind {
            MixerKind::Attention => seq_len.div_ceil(2),
            MixerKind::LocalAttention => window - window * window / (2 * seq_len) + 1,
            MixerKind::Rnn => 0,
            MixerKind::Rat => (seq_len / self.chunk_len.get() as u64).div_ceil(2) + 1,
        }
    }

    /// Returns how many keys the scores of a tile of queries cover, about.
    pub(crate) fn keys(&self, kind: MixerKind) -> u64 {
        let seq_len = self.seq_len.get() as u64;
        match kind {
            MixerKind::Attention => seq_len,
            MixerKind::LocalAttention => (self.window.get() as u64).min(seq_len),
            MixerKind::Rnn => 0,
            MixerKind::Rat => seq_len / self.chunk_len.get() as u64 + 1,
        }
    }
}

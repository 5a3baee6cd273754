//! How many bytes the caches of a sequence take.

use super::config::{MixerKind, ModelConfig};
use super::precision::Precision;

/// How many bytes a cached number takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheWidths {
    /// A number of a key or a value.
    pub entry: u64,
    /// A number of a running state, of the RNN or within a chunk of RAT.
    pub state: u64,
}

impl CacheWidths {
    /// All numbers in bf16, as the RAT reference keeps them.
    pub const REFERENCE: Self = Self { entry: 2, state: 2 };

    /// Our caches: entries in the type of the layers, states in f32.
    pub fn of(precision: Precision) -> Self {
        let entry = match precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        Self { entry, state: 4 }
    }
}

impl ModelConfig {
    /// Returns how many bytes the caches of one sequence of `tokens` tokens take.
    ///
    /// Attention keeps a key and a value for each token, local attention for at most `window` + 1, RAT
    /// for each chunk and the running pair, and the RNN one state.
    pub fn cache_bytes(&self, tokens: usize, widths: CacheWidths) -> u64 {
        let d_model = self.d_model.get() as u64;
        let pairs = |count: usize, width: u64| 2 * count as u64 * d_model * width;
        let layer = |layer: usize| match self.mixer(layer) {
            MixerKind::Attention => pairs(tokens, widths.entry),
            MixerKind::LocalAttention => {
                pairs(tokens.min(self.window.get().saturating_add(1)), widths.entry)
            }
            MixerKind::Rnn => d_model * widths.state,
            MixerKind::Rat => {
                let chunks = tokens.div_ceil(self.chunk_len.get());
                pairs(chunks, widths.entry) + pairs(1, widths.state)
            }
        };
        (0..self.layers.get()).map(layer).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::find;

    #[test]
    fn the_papers_models_keep_what_the_reference_keeps() {
        for (kind, bytes) in [
            ("attention", 805_306_368),
            ("attention_localattention_interleave", 503_414_784),
            ("rat", 50_528_256),
            ("rat_localattention_interleave", 126_025_728),
            ("rnn", 98_304),
        ] {
            let config = find(&format!("fineweb_edu/{kind}-xl"), &[]).unwrap().experiment.model;

            assert_eq!(config.cache_bytes(4096, CacheWidths::REFERENCE), bytes, "{kind}");
        }
    }

    #[test]
    fn our_states_take_twice_the_bytes_of_the_reference() {
        let config = find("fineweb_edu/rnn-xl", &[]).unwrap().experiment.model;

        assert_eq!(config.cache_bytes(1, CacheWidths::of(Precision::Bf16)), 2 * 98_304);
    }
}

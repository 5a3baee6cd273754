//! How much of the texts took a path that is slower than the engine's tables.

use serde::Serialize;

use crate::engine::Counter;

/// What took one slow path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowPath {
    /// How many units; where a text is encoded whole, a unit is a text.
    pub units: u64,
    /// How many bytes of text they have.
    pub bytes: u64,
}

/// What took each of the slow paths, in all encoders of a tokenizer since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowPaths {
    /// Texts that the stages encoded.
    pub stages: SlowPath,
    /// Texts that a Unigram model of SentencePiece encoded.
    pub unigram: SlowPath,
    /// Texts that Hugging Face `tokenizers` encoded.
    pub tokenizers: SlowPath,
    /// Units that the engine merged and that the tables of all threads have no place for: they are very long, or come
    /// when their line of a table is full.
    pub long_units: SlowPath,
}

/// Counts what takes the slow paths but the engine's.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) stages: Counter,
    pub(super) unigram: Counter,
    pub(super) tokenizers: Counter,
}

impl Counters {
    /// Returns what was counted, with the units that the engine has counted.
    pub(super) fn slow_paths(&self, long_units: Option<&Counter>) -> SlowPaths {
        let Self { stages, unigram, tokenizers } = self;
        SlowPaths {
            stages: stages.into(),
            unigram: unigram.into(),
            tokenizers: tokenizers.into(),
            long_units: long_units.map(SlowPath::from).unwrap_or_default(),
        }
    }
}

impl From<&Counter> for SlowPath {
    fn from(counter: &Counter) -> Self {
        let (units, bytes) = counter.get();
        Self { units, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokenizer;
    use crate::tokenizer::SpecialInText;

    #[test]
    fn a_unit_that_no_table_keeps_is_counted_with_its_bytes() {
        let tokenizer = Tokenizer::load("examples/tiny/tokenizer.json").unwrap();
        tokenizer.encode("Hello world").unwrap();
        let before = tokenizer.slow_paths();
        let long = "z".repeat(1 << 20);

        tokenizer.encode(&long).unwrap();

        let expected = SlowPath { units: 1, bytes: 1 << 20 };
        assert_eq!(before, SlowPaths::default());
        assert_eq!(tokenizer.slow_paths(), SlowPaths { long_units: expected, ..before });
        assert_eq!(tokenizer.left_to_oracle(SpecialInText::Plain), None);
    }
}

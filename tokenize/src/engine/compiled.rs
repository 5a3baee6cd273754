//! What the engine needs to know of a tokenizer, whichever file it was read from.

use super::bpe::vocabulary::Bpe;
use super::pre_tokenizer::joins::Joins;
use super::pre_tokenizer::pattern::Pattern;
use super::runs::RunTokens;

/// A tokenizer that the engine covers.
pub(crate) struct Compiled {
    pub(crate) bpe: Bpe,
    pub(crate) reading: Reading,
}

impl Compiled {
    /// Returns whether the text is normalized to NFC before the engine sees it.
    pub(crate) fn is_nfc(&self) -> bool {
        matches!(self.reading, Reading::ByteLevel { nfc: true, .. })
    }
}

/// How the text is read before merging.
pub(crate) enum Reading {
    /// SentencePiece style: a space is `▁`, units end wherever no piece spans two characters.
    Spaces {
        /// Where a `▁` is put before the text.
        prefix: Prefix,
        /// Where the text may be cut.
        joins: Joins,
        /// Added tokens that the engine finds.
        runs: RunTokens,
    },
    /// Byte-level: units are what a pattern matches.
    ByteLevel {
        /// What splits the text.
        pattern: Pattern,
        /// Whether the text is normalized to NFC first.
        nfc: bool,
    },
}

/// Where a `▁` is put before the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Nowhere.
    Never,
    /// Before every piece of text between special tokens.
    EachPiece,
    /// Before every piece that does not begin with a space already.
    EachUnlessSpace,
    /// Before the text, if it begins neither with a special token nor with a space.
    FirstUnlessSpace,
}

//! What the engine needs to know of a tokenizer, wherever it was read from.

use ratdata_schemas::TokenId;

use super::bpe::Bpe;
use super::cuts::Pattern;
use super::joins::Joins;

/// A tokenizer that the engine covers.
pub(crate) struct Compiled {
    pub(crate) bpe: Bpe,
    pub(crate) reading: Reading,
}

impl Compiled {
    /// Returns whether the text is composed (NFC) before the engine sees it.
    pub(crate) fn composes(&self) -> bool {
        matches!(self.reading, Reading::ByteLevel { composed: true, .. })
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
    },
    /// Byte-level: units are what a pattern matches.
    ByteLevel {
        /// The pattern.
        pattern: Pattern,
        /// Whether the text is composed first, as Unicode's form NFC.
        composed: bool,
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

/// A token that is looked for in the text before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(crate) id: TokenId,
    pub(crate) content: String,
    pub(crate) special: bool,
    /// Whether it is looked for in normalized text, after those that are not.
    pub(crate) normalized: bool,
}

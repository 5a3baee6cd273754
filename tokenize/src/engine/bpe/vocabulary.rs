//! A BPE vocabulary in the form that merging needs: an alphabet, and what each pair becomes.
//!
//! # Definitions
//!
//! - A *symbol* is what merging works on: an id of the vocabulary, or, past the last id, a
//!   character that occurs within pieces but is no piece itself (SentencePiece merges through
//!   such characters).
//! - The *alphabet* maps the text's characters (or bytes, for byte-level vocabularies) to symbols.
//!   A space and `▁` are one character, so the text is never rewritten.
//! - A *merge* replaces two neighbours by one symbol. Of all possible merges in a text the one of
//!   the lowest *rank* is done first, the leftmost among equals, until none is possible.

use ratdata_schemas::TokenId;
use rustc_hash::FxHashMap as HashMap;

use super::pairs::{PairTable, Symbol};
use crate::engine::id_width::IdWidth;

/// No symbol: a character that no piece contains.
pub(crate) const NO_SYMBOL: Symbol = Symbol::MAX;

/// The character that stands for a space in SentencePiece vocabularies.
pub(crate) const SPACE_PIECE: char = '▁';

/// How the text's characters become symbols.
#[derive(Debug)]
pub(crate) enum Alphabet {
    /// SentencePiece style: one symbol a character, a space being `▁`.
    Chars {
        /// Symbols of the ASCII characters; the space's is that of `▁`.
        ascii: Box<[Symbol; 128]>,
        /// Symbols of all others.
        others: HashMap<char, Symbol>,
    },
    /// Byte-level: one symbol a byte.
    Bytes(Box<[Symbol; 256]>),
}

/// What becomes of a character that has no id.
#[derive(Clone, Debug)]
pub(crate) enum Fallback {
    /// Its UTF-8 bytes, an id each.
    Bytes(Box<[TokenId; 256]>),
    /// The unknown id; neighbours become one where fused.
    Unknown {
        /// The id.
        id: TokenId,
        /// Whether neighbours become one.
        fused: bool,
    },
    /// Nothing: every byte has an id.
    Nothing,
}

/// A BPE vocabulary, ready to merge.
#[derive(Debug)]
pub(crate) struct Bpe {
    pub(crate) alphabet: Alphabet,
    pub(crate) pairs: PairTable,
    pub(crate) fallback: Fallback,
    /// Symbols below this are ids.
    pub(crate) num_ids: u32,
    /// Units that are ids as they stand, before any merge (`ignore_merges`).
    pub(crate) whole_units: Option<HashMap<Box<[u8]>, TokenId>>,
}

impl Alphabet {
    /// Builds the alphabet of characters from `(character, symbol)`.
    pub(crate) fn of_chars(symbols: impl IntoIterator<Item = (char, Symbol)>) -> Self {
        let mut ascii = Box::new([NO_SYMBOL; 128]);
        let mut others = HashMap::default();
        for (character, symbol) in symbols {
            match u8::try_from(u32::from(character)) {
                // A space in a text is `▁`; a piece with a plain space is out of reach.
                Ok(b' ') => {}
                Ok(byte) if byte < 128 => ascii[usize::from(byte)] = symbol,
                _ => drop(others.insert(character, symbol)),
            }
        }
        ascii[usize::from(b' ')] = others.get(&SPACE_PIECE).copied().unwrap_or(NO_SYMBOL);
        Self::Chars { ascii, others }
    }

    /// Returns the symbol of a character; byte-level alphabets have none.
    pub(crate) fn of_char(&self, character: char) -> Symbol {
        match self {
            Self::Chars { ascii, others } => match u8::try_from(u32::from(character)) {
                Ok(byte) if byte < 128 => ascii[usize::from(byte)],
                _ => others.get(&character).copied().unwrap_or(NO_SYMBOL),
            },
            Self::Bytes(_) => NO_SYMBOL,
        }
    }

    /// Returns whether a symbol is a byte.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self, Self::Bytes(_))
    }

    /// Calls `each(symbol, start, end)` for every character, or byte, of `text`.
    pub(crate) fn spell(&self, text: &str, each: impl FnMut(Symbol, usize, usize)) {
        self.spell_part(text, (0, text.len()), each);
    }

    /// Does the same for a part of `text`, which is whole characters where symbols are.
    #[inline]
    pub(crate) fn spell_part(
        &self,
        text: &str,
        (from, to): (usize, usize),
        mut each: impl FnMut(Symbol, usize, usize),
    ) {
        match self {
            Self::Chars { ascii, .. } => {
                for (at, character) in text[from..to].char_indices() {
                    let start = from + at;
                    let symbol = match u8::try_from(u32::from(character)) {
                        Ok(byte) if byte < 128 => ascii[usize::from(byte)],
                        _ => self.of_char(character),
                    };
                    each(symbol, start, start + character.len_utf8());
                }
            }
            Self::Bytes(symbols) => {
                for (start, &byte) in (from..).zip(&text.as_bytes()[from..to]) {
                    each(symbols[usize::from(byte)], start, start + 1);
                }
            }
        }
    }
}

impl Bpe {
    /// Returns the id of a unit that is one as it stands, before any merge.
    pub(crate) fn whole(&self, unit: &str) -> Option<TokenId> {
        self.whole_units.as_ref()?.get(unit.as_bytes()).copied()
    }

    /// Appends the ids of one symbol; `spelt` is the text it covers.
    ///
    /// `last_unknown` says whether the symbol before became the unknown id, and is kept for the
    /// next call.
    pub(crate) fn emit<W: IdWidth>(
        &self,
        symbol: Symbol,
        spelt: &str,
        last_unknown: &mut bool,
        out: &mut Vec<W>,
    ) {
        if symbol < self.num_ids {
            *last_unknown = false;
            out.push(W::of(symbol));
            return;
        }
        match &self.fallback {
            Fallback::Bytes(bytes) => {
                // The normalized text has `▁` where ours has a space.
                let normalized = if spelt == " " { "▁" } else { spelt };
                out.extend(normalized.bytes().map(|byte| W::of(bytes[usize::from(byte)])));
            }
            Fallback::Unknown { id, fused } => {
                if !(*fused && *last_unknown) {
                    out.push(W::of(*id));
                }
                *last_unknown = true;
            }
            Fallback::Nothing => {}
        }
    }
}

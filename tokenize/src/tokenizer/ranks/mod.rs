//! Vocabularies whose pieces have ranks and no merges: `.tiktoken` files and Mistral's `tekken.json`.
//!
//! A unit that is a piece is that piece. In any other, two neighbours whose bytes together are a piece
//! become it, the one of the lowest rank first, the leftmost among equals. So the merges of a piece are all
//! its splits into two pieces, and their rank is the piece's.

pub(crate) mod oracle;
pub(crate) mod tekken;
pub(crate) mod tiktoken;

#[cfg(test)]
mod tests;

use ratdata_schemas::TokenId;
use rustc_hash::FxHashMap;

use super::added::token::AddedToken;
use super::encoding;
use super::json::byte_level::byte_level_chars;
use crate::bounds::limits::{LONGEST_PIECE, MOST_MERGES, MOST_PIECES, MOST_SPLITTING};
use crate::bounds::shown;
use crate::engine::MAX_IDS;
use crate::engine::bpe::pairs::{Merge, PairTable};
use crate::engine::bpe::vocabulary::{Alphabet, Bpe, Fallback};
use crate::engine::compiled::{Compiled, Reading};
use crate::engine::pre_tokenizer::pattern::Pattern;
use crate::engine::pre_tokenizer::regex::split_regex::SplitRegex;
use crate::engine::pre_tokenizer::splits::Splits;

/// A vocabulary of pieces with ranks.
#[derive(Clone, Debug)]
pub(crate) struct RankedVocabulary {
    /// What cuts a text into units.
    pub(crate) pattern: String,
    /// The bytes of each piece, and its id. Of two ids, the lower has the lower rank.
    pub(crate) pieces: Vec<(Vec<u8>, TokenId)>,
    pub(crate) specials: Vec<(String, TokenId)>,
}

impl RankedVocabulary {
    /// Checks what both kinds of files promise, and returns the ids by their pieces.
    fn ids(&self) -> Result<FxHashMap<&[u8], TokenId>, String> {
        if self.pieces.len() > MOST_PIECES {
            return Err(format!("it has more than {MOST_PIECES} pieces"));
        }
        let mut ids = FxHashMap::default();
        let mut taken: FxHashMap<TokenId, &[u8]> = FxHashMap::default();
        for (piece, id) in &self.pieces {
            let text = || shown(&String::from_utf8_lossy(piece));
            if piece.is_empty() {
                return Err(format!("the piece of id {id} is empty"));
            }
            if piece.len() > LONGEST_PIECE {
                let len = piece.len();
                return Err(format!(
                    "the piece `{}` has {len} bytes, expected at most {LONGEST_PIECE}",
                    text()
                ));
            }
            if let Some(other) = ids.insert(piece.as_slice(), *id) {
                return Err(format!("the piece `{}` has the ids {other} and {id}", text()));
            }
            if *id >= MAX_IDS {
                return Err(format!(
                    "the piece `{}` has the id {id}, expected less than {MAX_IDS}",
                    text()
                ));
            }
            if let Some(other) = taken.insert(*id, piece) {
                let other = shown(&String::from_utf8_lossy(other));
                return Err(format!("the pieces `{other}` and `{}` have the id {id}", text()));
            }
        }
        // Two special tokens may have one id.
        if let Some((special, id)) = self.specials.iter().find(|(_, id)| taken.contains_key(id)) {
            return Err(format!(
                "the special token `{special}` has the id {id}, which a piece has"
            ));
        }
        Ok(ids)
    }

    /// Compiles the vocabulary for the engine, or says what is the matter with it.
    pub(crate) fn compile(&self) -> Result<Compiled, String> {
        let ids = self.ids()?;
        let mut bytes = Box::new([0; 256]);
        for (byte, id) in (0_u8..=u8::MAX).zip(bytes.iter_mut()) {
            let missing = || format!("no piece is the byte 0x{byte:02x} alone");
            *id = *ids.get([byte].as_slice()).ok_or_else(missing)?;
        }
        let merges = merges(&self.pieces, &ids)?;
        let pattern = if let Some(known) = Pattern::known(&self.pattern) {
            known
        } else {
            let is_our_own = self.pattern == encoding::CL100K;
            let regex =
                if is_our_own { SplitRegex::new(&self.pattern) } else { total(&self.pattern) };
            Pattern::Splits(Splits::new(vec![regex?])?)
        };
        let whole_units: FxHashMap<Box<[u8]>, TokenId> =
            self.pieces.iter().map(|(piece, id)| (piece.as_slice().into(), *id)).collect();
        let num_ids = self.pieces.iter().map(|(_, id)| id + 1).max().unwrap_or(0);
        Ok(Compiled {
            bpe: Bpe {
                alphabet: Alphabet::Bytes(bytes),
                pairs: PairTable::new(&merges),
                fallback: Fallback::Nothing,
                num_ids,
                whole_units: Some(whole_units),
            },
            reading: Reading::ByteLevel { pattern, nfc: false },
        })
    }

    /// Returns the special tokens, which a text may spell.
    pub(crate) fn added(&self) -> Vec<AddedToken> {
        let token = |(content, id): &(String, TokenId)| AddedToken {
            id: *id,
            content: content.clone(),
            special: true,
            normalized: false,
            replaced: Vec::new(),
        };
        self.specials.iter().map(token).collect()
    }

    /// Returns the pieces by id, with one character for each byte; ids of no piece are empty.
    pub(crate) fn texts(&self) -> Vec<String> {
        let chars = byte_level_chars();
        let of_piece = |(piece, id): &(Vec<u8>, TokenId)| {
            (*id, piece.iter().map(|byte| chars[usize::from(*byte)]).collect::<String>())
        };
        // Of two names of one id, the first stays.
        let of_special = |(special, id): &(String, TokenId)| (*id, special.clone());
        let mut texts = Vec::new();
        for (id, text) in
            self.pieces.iter().map(of_piece).chain(self.specials.iter().rev().map(of_special))
        {
            let place = id as usize;
            if texts.len() <= place {
                texts.resize(place + 1, String::new());
            }
            texts[place] = text;
        }
        texts
    }
}

/// Compiles a pattern that has no form of its own.
///
/// What is between two matches is lost in `tiktoken`, so a pattern has to match everywhere.
fn total(pattern: &str) -> Result<SplitRegex, String> {
    let said = |wrong: &str| format!("its pattern `{}` {wrong}", shown(pattern));
    if let Some(part) = read_otherwise(pattern) {
        return Err(said(&format!("has `{part}`, which means something else in `tiktoken`")));
    }
    let regex = SplitRegex::new(pattern).map_err(|wrong| said(&format!("has {wrong}")))?;
    if regex.is_total() { Ok(regex) } else { Err(said("does not match every character")) }
}

/// Returns a part of a pattern that `tiktoken`, which runs patterns in Rust's syntax, reads otherwise than
/// Oniguruma.
fn read_otherwise(pattern: &str) -> Option<&'static str> {
    let parts = [r"\w", r"\W", r"\d", r"\D", "--", "~~", "$"];
    // The brackets of `\p{L}` are no interval.
    let mut intervals = pattern
        .match_indices('{')
        .filter(|(at, _)| !pattern[..*at].ends_with(r"\p") && !pattern[..*at].ends_with(r"\P"));
    let is_repeated = intervals.any(|(at, _)| {
        pattern[at..].split_once('}').is_some_and(|(_, rest)| rest.starts_with('+'))
    });
    if is_repeated {
        return Some("{…}+");
    }
    parts.into_iter().find(|part| pattern.contains(part))
}

/// Returns all splits of pieces into two pieces.
fn merges(
    pieces: &[(Vec<u8>, TokenId)],
    ids: &FxHashMap<&[u8], TokenId>,
) -> Result<Vec<Merge>, String> {
    // Each split looks at the whole piece.
    let splitting = pieces.iter().map(|(piece, _)| (piece.len() as u64).pow(2)).sum::<u64>();
    if splitting > MOST_SPLITTING {
        return Err(format!(
            "its pieces are too long to be split in all ways: {splitting} steps, expected at most {MOST_SPLITTING}"
        ));
    }
    let mut merges = Vec::with_capacity(3 * pieces.len());
    for (piece, id) in pieces {
        for cut in 1..piece.len() {
            let (left, right) = piece.split_at(cut);
            if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                merges.push(Merge { left, right, rank: *id, becomes: *id });
            }
        }
        if merges.len() > MOST_MERGES {
            return Err(format!("its pieces make more than {MOST_MERGES} merges"));
        }
    }
    Ok(merges)
}

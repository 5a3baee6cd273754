//! What n-grams are made of: words, or the ids of a tokenizer.
//!
//! The ids at the ends of a passage depend on what is around it: a first word has a space before it within a
//! row, and a last full stop may be one id with the line's end. Those ids are not looked for, so that a
//! passage is found wherever it is.

use std::fmt;
use std::ops::Range;

use ratdata_schemas::TokenId;
use ratdata_tokenize::Tokenizer;
use ratdata_tokenize::tokenizer::{EncodeError, Encoder, SpecialInText};

use super::words::words;
use crate::dedup::mix;

/// What may be before a passage within a row.
const BEFORE: [&str; 4] = [" ", "\n", "\"", "("];

/// What may be after a passage within a row.
const AFTER: [&str; 6] = [" a", "\n", ".", ",", "\"", ")"];

/// What n-grams are made of.
#[derive(Clone, Debug)]
pub enum GramUnit {
    /// Words in lower case, without punctuation.
    Words,
    /// The ids that a tokenizer gives to the text.
    Tokens(Tokenizer),
}

impl fmt::Display for GramUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Words => "words",
            Self::Tokens(_) => "tokens",
        })
    }
}

impl GramUnit {
    /// Makes what a thread reads units with.
    pub(super) fn reader(&self) -> UnitReader {
        let tokens = match self {
            Self::Words => None,
            Self::Tokens(tokenizer) => {
                Some((tokenizer.clone(), tokenizer.encoder(SpecialInText::Plain)))
            }
        };
        UnitReader { tokens, ids: Vec::new(), hashes: Vec::new(), at: Vec::new() }
    }
}

/// Reads the units of one text after the other.
#[derive(Debug)]
pub(crate) struct UnitReader {
    tokens: Option<(Tokenizer, Encoder)>,
    ids: Vec<TokenId>,
    hashes: Vec<u64>,
    /// Where the words are in the text; of tokens, it is found out where it is asked for.
    at: Vec<Range<usize>>,
}

impl UnitReader {
    /// Reads the units of a row's text and returns their hashes.
    ///
    /// # Errors
    ///
    /// The tokenizer cannot encode the text.
    pub(super) fn read(&mut self, text: &str) -> Result<&[u64], EncodeError> {
        self.hashes.clear();
        self.at.clear();
        let Self { tokens, ids, hashes, at } = self;
        let Some((_, encoder)) = tokens else {
            words(text, hashes, at);
            return Ok(hashes);
        };
        ids.clear();
        encoder.encode_into(text, ids)?;
        hashes.extend(ids.iter().copied().map(hash_of));
        Ok(hashes)
    }

    /// Reads the units of a passage that a row with the passage has, wherever in the row it is.
    ///
    /// # Errors
    ///
    /// The tokenizer cannot encode the text.
    pub(super) fn read_passage(&mut self, text: &str) -> Result<&[u64], EncodeError> {
        let text = text.trim();
        self.read(text)?;
        let Some((_, encoder)) = &mut self.tokens else { return Ok(&self.hashes) };
        let mut others = Vec::new();
        let mut same = |text: String, from_end: bool| -> Result<usize, EncodeError> {
            others.clear();
            encoder.encode_into(&text, &mut others)?;
            let equal = |(one, two): &(&TokenId, &TokenId)| one == two;
            Ok(if from_end {
                self.ids.iter().rev().zip(others.iter().rev()).take_while(equal).count()
            } else {
                self.ids.iter().zip(&others).take_while(equal).count()
            })
        };
        let (mut begin, mut end) = (0, self.hashes.len());
        for before in BEFORE {
            begin = begin.max(self.hashes.len() - same(format!("{before}{text}"), true)?);
        }
        for after in AFTER {
            end = end.min(same(format!("{text}{after}"), false)?);
        }
        Ok(self.hashes.get(begin..end).unwrap_or_default())
    }

    /// Returns the text of some of the units that were read last.
    pub(super) fn shown(&mut self, text: &str, units: Range<usize>) -> String {
        if let (Some((tokenizer, _)), true) = (&self.tokens, self.at.is_empty()) {
            match tokenizer.align(text, &self.ids) {
                Some(at) => self.at = at,
                // The ids are of a text that was normalized before.
                None => return tokenizer.decode(&self.ids[units]),
            }
        }
        let (first, last) = (&self.at[units.start], &self.at[units.end - 1]);
        // A token may be a part of a character.
        let at = text.floor_char_boundary(first.start)..text.ceil_char_boundary(last.end);
        text[at].to_owned()
    }
}

fn hash_of(id: TokenId) -> u64 {
    mix(u64::from(id) + 1)
}

//! Fill in the middle: parts documents at two places, and joins their ids with the middle at the end.
//!
//! ```text
//! PSM  PREFIX prefix SUFFIX suffix MIDDLE middle
//! SPM  PREFIX SUFFIX suffix MIDDLE prefix middle
//! ```
//!
//! Both forms are those of "Efficient Training of Language Models to Fill in the Middle" (Bavarian and
//! others, 2022), SPM in its second variant, and they are made of whole documents, as those of
//! `StarCoder` were.
//!
//! A document's random numbers follow from the seed, the name of its file and its row there. So any thread,
//! any share and any later run parts it alike.

use std::ops::Range;

use ratdata_schemas::TokenId;
use ratdata_schemas::draw::{SplitMix64, mix};
use ratdata_schemas::narrow;
use ratdata_schemas::recipe::{Fim, SpecialInText, Tokenize};

use super::error::JobError;
use crate::source::SourceFile;
use crate::tokenizer::{EncodeError, Encoder, IdWidth, Tokenizer};

/// How a job parts documents.
#[derive(Clone, Debug)]
pub struct FimPlan {
    fim: Fim,
    tokenizer: Tokenizer,
    specials: SpecialInText,
    /// Before the prefix, the middle and the suffix.
    ids: [TokenId; 3],
}

/// The random numbers of one file's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FimKey(u64);

/// One of the six pieces of a document that is parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FimPiece {
    /// A token before a part.
    Token(TokenId),
    /// The bytes of a part, and whether it continues a text: then no `▁` is put before it.
    Text(Range<usize>, bool),
}

impl FimPlan {
    /// Returns how a job parts documents, if it does.
    ///
    /// # Errors
    ///
    /// The vocabulary lacks one of the tokens, or text may hold it in other ways than by its name.
    pub fn of(config: &Tokenize, tokenizer: &Tokenizer) -> Result<Option<Self>, JobError> {
        let Some(fim) = &config.fim else { return Ok(None) };
        let id = |token: &String| {
            tokenizer.added_id(token).ok_or_else(|| JobError::FimToken {
                token: token.clone(),
                is_piece: tokenizer.id_of(token).is_some(),
            })
        };
        let tokens = &fim.tokens;
        let ids = [id(&tokens.prefix)?, id(&tokens.middle)?, id(&tokens.suffix)?];
        let (tokenizer, specials) = (tokenizer.clone(), config.special_in_text);
        Ok(Some(Self { fim: fim.clone(), tokenizer, specials, ids }))
    }

    /// Returns the random numbers of the documents of a file, by its name in the manifest.
    pub fn key(&self, file: &str) -> FimKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.fim.seed.to_le_bytes());
        hasher.update(file.as_bytes());
        let checksum = hasher.finalize();
        FimKey(u64::from_le_bytes(*checksum.as_bytes().first_chunk().unwrap_or(&[0; 8])))
    }

    /// Checks that a text holds none of the tokens: a model could not tell them from those around parts.
    ///
    /// # Errors
    ///
    /// It does, or cannot be encoded for another reason that is seen without encoding it.
    pub fn check(&self, text: &str) -> Result<(), EncodeError> {
        match self.tokenizer.first_of(text, self.specials, &self.ids)? {
            None => Ok(()),
            Some((at, id)) => {
                let token = self.tokenizer.piece(id).unwrap_or_default().to_owned();
                Err(EncodeError::Sentinel { at, token })
            }
        }
    }

    /// Returns the pieces of a document, in their order; none if it stays whole.
    pub fn pieces(&self, FimKey(key): FimKey, row: u64, text: &str) -> Option<[FimPiece; 6]> {
        let mut random = SplitMix64::new(mix(key ^ mix(row)));
        let (is_parted, is_spm) =
            (random.uniform() < self.fim.rate, random.uniform() < self.fim.spm_rate);
        let places = [random.draw(), random.draw()];
        if !is_parted || text.is_empty() {
            return None;
        }
        let [first, second] = parted(text, places);
        let [prefix, middle, suffix] = self.ids.map(FimPiece::Token);
        let part = |range: Range<usize>| FimPiece::Text(range, true);
        let (before, filled, after) =
            (FimPiece::Text(0..first, false), part(first..second), part(second..text.len()));
        Some(if is_spm {
            [prefix, suffix, after, middle, before, filled]
        } else {
            [prefix, before, suffix, after, middle, filled]
        })
    }

    /// Appends the ids of a document.
    ///
    /// # Errors
    ///
    /// It holds one of the tokens, or cannot be encoded.
    pub fn encode<W: IdWidth>(
        &self,
        (key, row): (FimKey, u64),
        text: &str,
        encoder: &mut Encoder,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        self.check(text)?;
        let Some(pieces) = self.pieces(key, row, text) else {
            return encoder.encode_into(text, out);
        };
        pieces.into_iter().try_for_each(|piece| match piece {
            FimPiece::Token(id) => {
                out.push(W::of(id));
                Ok(())
            }
            FimPiece::Text(range, false) => encoder.encode_into(&text[range], out),
            FimPiece::Text(range, true) => encoder.encode_continuation(&text[range], out),
        })
    }

    /// Returns the pieces of a document with the ids that the slow twin gives them; the whole document is one
    /// piece if it is not parted.
    ///
    /// # Errors
    ///
    /// As of [`FimPlan::encode`], or the slow twin refuses.
    pub fn encode_slowly(
        &self,
        (key, row): (FimKey, u64),
        text: &str,
    ) -> Result<Vec<(FimPiece, Vec<TokenId>)>, EncodeError> {
        self.check(text)?;
        let whole = || vec![FimPiece::Text(0..text.len(), false)];
        let pieces = self.pieces(key, row, text).map_or_else(whole, Vec::from);
        let oracle = self.tokenizer.oracle();
        let encoded = pieces.into_iter().map(|piece| {
            let ids = match &piece {
                FimPiece::Token(id) => vec![*id],
                FimPiece::Text(range, false) => {
                    oracle.encode(&text[range.clone()], self.specials)?
                }
                FimPiece::Text(range, true) => {
                    oracle.encode_continuation(&text[range.clone()], self.specials)?
                }
            };
            Ok((piece, ids))
        });
        encoded.collect()
    }
}

/// A plan, and the random numbers of the files of a job.
#[derive(Debug)]
pub(super) struct FimFiles {
    plan: FimPlan,
    keys: Vec<FimKey>,
}

impl FimFiles {
    /// Returns what a job parts documents by, if it does.
    ///
    /// # Errors
    ///
    /// As of [`FimPlan::of`].
    pub(super) fn of(
        config: &Tokenize,
        tokenizer: &Tokenizer,
        files: &[SourceFile],
    ) -> Result<Option<Self>, JobError> {
        let plan = FimPlan::of(config, tokenizer)?;
        Ok(plan.map(|plan| {
            let keys = files.iter().map(|file| plan.key(&file.name)).collect();
            Self { plan, keys }
        }))
    }

    /// Appends the ids of a row of a file.
    ///
    /// # Errors
    ///
    /// As of [`FimPlan::encode`].
    pub(super) fn encode<W: IdWidth>(
        &self,
        (file, row): (usize, u64),
        text: &str,
        encoder: &mut Encoder,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        self.plan.encode((self.keys[file], row), text, encoder, out)
    }
}

/// Returns two places between the characters of a text, its ends among them, in order: each is as likely.
fn parted(text: &str, words: [u64; 2]) -> [usize; 2] {
    let places = text.chars().count() as u128 + 1;
    // The upper half of the product: a word is a fraction of 2^64.
    let mut chosen = words.map(|word| narrow::<_, usize>((u128::from(word) * places) >> 64));
    chosen.sort_unstable();
    let mut bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let first = bytes.nth(chosen[0]).unwrap_or(text.len());
    let between = chosen[1] - chosen[0];
    let second = between.checked_sub(1).map_or(Some(first), |skipped| bytes.nth(skipped));
    [first, second.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_pair_of_places_is_as_likely() {
        let text = "aßé";
        let mut random = SplitMix64::new(7);
        let mut counts: BTreeMap<[usize; 2], u32> = BTreeMap::new();

        for _ in 0..16_000 {
            *counts.entry(parted(text, [random.draw(), random.draw()])).or_default() += 1;
        }

        // Four places, at these bytes; each pair of different ones comes twice as often.
        let places = [0, 1, 3, 5];
        let expected = places.iter().flat_map(|&one| places.map(|other| [one, other]));
        let expected: Vec<_> = expected.filter(|[one, other]| one <= other).collect();
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), expected);
        for ([one, other], count) in counts {
            let mean = if one == other { 1000 } else { 2000 };
            assert!(u32::abs_diff(count, mean) < 200, "{one} {other}: {count}");
        }
        assert_eq!(parted("", [u64::MAX, 0]), [0, 0]);
        assert_eq!(parted(text, [u64::MAX, 0]), [0, 5]);
    }
}

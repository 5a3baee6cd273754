//! How large the parts of a tokenizer file may be, so that no file takes all memory or all time.
//!
//! The tokenizers in use are far below: the largest vocabularies have about a million pieces, the most
//! merges are 600,000. `docs/tokenizers.md` lists the bounds.

use ratdata_schemas::{TokenId, narrow};

/// Bytes of a tokenizer file, or of a file next to it.
pub(crate) const MOST_BYTES: u64 = 128 << 20;

/// Pieces of a vocabulary, and added tokens.
pub(crate) const MOST_PIECES: usize = 1 << 20;

/// Ids of a vocabulary are below this.
pub(crate) const PAST_LAST_ID: TokenId = 1 << 22;

/// Merges of a `tokenizer.json`, or that the pieces of a SentencePiece model make.
pub(crate) const MOST_MERGES: usize = 1 << 21;

/// Bytes of a piece or an added token.
pub(crate) const LONGEST_PIECE: usize = 1 << 16;

/// Bytes of all added tokens together.
pub(crate) const MOST_ADDED_BYTES: usize = 4 << 20;

/// Bytes of a piece of a Unigram model, which are walked one by one at every place of a text.
pub(crate) const LONGEST_UNIGRAM_PIECE: usize = 1 << 10;

/// Bytes of all pieces of a Unigram model together.
pub(crate) const MOST_UNIGRAM_BYTES: usize = 16 << 20;

/// Distinct beginnings of the pieces of a Unigram model: `tokenizers` keeps about 340 bytes for each.
pub(crate) const MOST_UNIGRAM_BEGINNINGS: usize = 5_000_000;

/// Characters of a word that a `WordPiece` model looks up; the usual number is 100.
pub(crate) const LONGEST_WORD: u64 = 1000;

/// Bytes of what a model puts before or after the pieces of a word.
pub(crate) const LONGEST_AFFIX: usize = 1 << 10;

/// Bytes of the JSON of a normalizer, a pre-tokenizer, a post-processor or a decoder.
pub(crate) const LONGEST_SECTION: usize = 4 << 20;

/// How deep their JSON is nested.
pub(crate) const DEEPEST_SECTION: usize = 32;

/// Steps of a normalizer, a pre-tokenizer or a decoder.
pub(crate) const MOST_STEPS: usize = 1 << 10;

/// Steps of a pre-tokenizer that write the text in another alphabet.
pub(crate) const MOST_REWRITING_CUTS: usize = 3;

/// Bytes of a regular expression, and groups and classes that it opens.
pub(crate) const LONGEST_PATTERN: usize = 1 << 16;
/// See [`LONGEST_PATTERN`].
pub(crate) const MOST_GROUPS: usize = 1000;

/// Bytes that a character map writes for one character.
pub(crate) const LONGEST_MAPPED: usize = 128;

/// Steps that a SentencePiece model's pieces take to be split in all ways: the sum of the squares of
/// their lengths.
pub(crate) const MOST_SPLITTING: u64 = 1 << 33;

/// Returns how many bytes the normalizer, the pre-tokenizer and the decoder may add to a text.
pub(crate) fn most_added(text_bytes: usize) -> usize {
    text_bytes.saturating_mul(32).max(1 << 20)
}

/// Returns how many steps a regular expression may take at one place of a text.
///
/// Oniguruma's own bound, which is that of Hugging Face `tokenizers`, is ten million. A short text
/// that needs a million is one on which the pattern tries everything.
pub(crate) fn most_pattern_steps(text_bytes: usize) -> u32 {
    narrow(text_bytes.saturating_mul(64).saturating_add(1_000_000).min(10_000_000))
}

/// Returns for how many seconds the regular expressions of a tokenizer may be at one text, which is a
/// thirtieth of the speed of ordinary ones: the last resort where steps do not tell.
pub(crate) fn most_seconds(text_bytes: usize) -> u64 {
    30 + 30 * (text_bytes as u64 >> 20)
}

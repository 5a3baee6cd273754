//! What a manifest records: the tokenizer, the layouts of splits, their files, and sources.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;
use crate::file_record::FileRecord;
use crate::token::TokenId;

/// The most tokens that a row has: a reader makes room for one before it has read any.
pub const MAX_ROW_LEN: u32 = 1 << 24;

/// Whose results the ids of a tokenizer equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Hugging Face `tokenizers`, from a `tokenizer.json`.
    Tokenizers,
    /// SentencePiece, from a `.model`.
    SentencePiece,
    /// `tiktoken`, from a `.tiktoken` file.
    Tiktoken,
    /// `mistral_common`, from a `tekken.json`.
    #[serde(rename = "mistral_common")]
    MistralCommon,
    /// Not known: another tool wrote the ids.
    Unknown,
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tokenizers => "tokenizers",
            Self::SentencePiece => "sentencepiece",
            Self::Tiktoken => "tiktoken",
            Self::MistralCommon => "mistral_common",
            Self::Unknown => "unknown",
        })
    }
}

/// The tokenizer that made an artifact's ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizerRecord {
    /// What the user called it: an alias, a hub id or a file name (never a path of the machine).
    pub name: String,
    /// Whose results the ids equal.
    pub semantics: Semantics,
    /// The checksum of the tokenizer file and its semantics.
    pub fingerprint: Checksum,
    /// The largest id plus one.
    pub vocab_size: u32,
    /// The id that begins a document, where the vocabulary has one.
    pub bos: Option<TokenId>,
    /// The id that ends a document, where the vocabulary has one.
    pub eos: Option<TokenId>,
    /// The id of what the vocabulary cannot spell.
    pub unk: Option<TokenId>,
    /// The id that fills a row up, where the vocabulary has one.
    pub pad: Option<TokenId>,
}

/// One part of an artifact, in one of the four layouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "layout", rename_all = "lowercase", deny_unknown_fields)]
pub enum SplitRecord {
    /// Token bins with document indexes: what `tokenize` writes.
    Shards {
        /// The shards in order; the split is their concatenation.
        shards: Vec<ShardRecord>,
    },
    /// Fixed rows of `i16` inputs and labels: what `sft` writes for the reference's tasks.
    Pairs(PairsRecord),
    /// Rows as spans over the token bins of `Manifest::base`.
    Pack(PackRecord),
    /// Rows written out: a pack made plain for other readers.
    Rows(RowsRecord),
}

/// One shard: a token bin, its document index and, for instruction data, its loss mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShardRecord {
    /// The place in `Manifest::sources` of the file it was made from; none when merged from many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// How many documents it holds.
    pub documents: u64,
    /// How many tokens it holds.
    pub tokens: u64,
    /// The ids.
    pub bin: FileRecord,
    /// The end of every document, `u64` each.
    pub idx: FileRecord,
    /// One bit a token, lowest bit first: set where the token is trained on. None: every token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<FileRecord>,
}

/// Rows of `i16` inputs and labels, the labels already shifted by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsRecord {
    /// How many rows there are.
    pub rows: u64,
    /// The number of tokens of a row.
    pub row_len: u32,
    /// `[rows, row_len]` ids as `i16`.
    pub inputs: FileRecord,
    /// `[rows, row_len]` labels as `i16`; -100 where the loss does not count.
    pub labels: FileRecord,
    /// Two `u32` a row: the prompt's length after truncation, and the row's length before padding.
    pub lengths: FileRecord,
    /// One JSON object a row with the reference answers; test splits alone have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<FileRecord>,
}

/// Rows as spans over the token bins of the base artifact.
///
/// The split of the base is read as one stream: its shards' tokens, concatenated. The loss mask
/// of a row travels with the base's tokens; columns that no span covers are padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackRecord {
    /// How many rows there are.
    pub rows: u64,
    /// How many tokens a row has: the training sequence length plus one.
    pub row_len: u32,
    /// How many tokens the spans cover, all rows together.
    pub tokens: u64,
    /// One `u64` a row: the end of its spans in `spans`.
    pub row_ends: FileRecord,
    /// Sixteen bytes a span; see [`Span`].
    pub spans: FileRecord,
    /// What became of the documents; none where the writer did not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<PackCounts>,
}

/// What a packing did with the documents of its bins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackCounts {
    /// Documents that were packed.
    pub documents: u64,
    /// Of them, those that lie in more than one row.
    pub cut: u64,
    /// Documents left out for their length.
    pub dropped: u64,
    /// Documents without a token.
    pub empty: u64,
}

/// A pack written out: rows of ids with a loss-mask bitmap, and the spans that say whence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsRecord {
    /// The rows as spans; what the ids below were gathered from.
    pub pack: PackRecord,
    /// `[rows, row_len]` ids; padding is the pad id, or EOS where there is none.
    pub bin: FileRecord,
    /// `[rows, ceil(row_len / 8)]` bytes, lowest bit first: set where the token is trained on.
    pub mask: FileRecord,
}

/// A run of one document's tokens within a row.
///
/// On disk: `start` as `u64`, `len` as `u32`, `column` as `u32`, all little-endian. A document ends
/// in a row where its span ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first token, as a position in the split's stream.
    pub start: u64,
    /// How many tokens.
    pub len: u32,
    /// The column of the row that the first token stands in.
    pub column: u32,
}

impl Span {
    /// The size of a span on disk.
    pub const BYTES: usize = 16;

    /// Returns the span as it lies on disk.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..].copy_from_slice(&self.column.to_le_bytes());
        bytes
    }

    /// Reads a span as it lies on disk.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut words = [0; 4];
        for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*four);
        }
        let [low, high, len, column] = words;
        Self { start: u64::from(high) << 32 | u64::from(low), len, column }
    }
}

/// One file that documents came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// Its name: a path relative to the input folder, or a hub address.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// How many rows it has, bad ones included.
    pub rows: u64,
    /// Rows left out: with `--on-bad-row skip`, and empty text files.
    #[serde(default)]
    pub bad_rows: u64,
    /// Rows in whose text U+FFFD took the place of something, with `--on-bad-row replace`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replaced_rows: u64,
    /// How many bytes of text its documents have.
    pub text_bytes: u64,
    /// The checksum of its content: BLAKE3 of all bytes, or of the checksums of several files, each
    /// with a line end. Manifests of before have a checksum of 64 samples of each file above 1 MiB.
    pub fingerprint: Checksum,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The artifact that a pack indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseRecord {
    /// Where it lies: an absolute path, or one relative to the pack's folder.
    pub path: String,
    /// The checksum of its manifest; a base with another manifest is refused.
    pub manifest: Checksum,
}

impl SplitRecord {
    /// Returns every file of this part.
    pub fn files(&self) -> Vec<&FileRecord> {
        match self {
            Self::Shards { shards } => shards
                .iter()
                .flat_map(|shard| [Some(&shard.bin), Some(&shard.idx), shard.mask.as_ref()])
                .flatten()
                .collect(),
            Self::Pairs(pairs) => {
                let mut files = vec![&pairs.inputs, &pairs.labels, &pairs.lengths];
                files.extend(&pairs.answers);
                files
            }
            Self::Pack(pack) => vec![&pack.row_ends, &pack.spans],
            Self::Rows(rows) => vec![&rows.bin, &rows.mask, &rows.pack.row_ends, &rows.pack.spans],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_survives_its_bytes() {
        let span = Span { start: 1 << 40, len: 7, column: 4096 };

        assert_eq!(Span::from_bytes(span.to_bytes()), span);
    }
}

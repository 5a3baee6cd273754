//! The manifest: what an artifact folder holds, and how it was made.
//!
//! `manifest.json` is written last and names every other file with its size and checksum. It holds
//! no clock, no host name and no thread count: the same inputs and config give the same bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::artifact::{ArtifactError, StagedFile};
use crate::checksum::Checksum;
use crate::file_record::FileRecord;
use crate::manifest_check::{check, check_names, wrong_part};
use crate::plain_name::PlainName;
use crate::regular::read_regular;
use crate::token::{Dtype, TokenId};

/// The name of the manifest in an artifact folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The format version that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The most tokens that a row has: a reader makes room for one before it has read any.
pub const MAX_ROW_LEN: u32 = 1 << 24;

/// What an artifact folder holds, and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this layout; readers refuse one they do not know.
    pub format_version: u32,
    /// The name that the files begin with, such as `llama`.
    pub name: PlainName,
    /// The width of the token ids (pairs store them as `i16` all the same).
    pub dtype: Dtype,
    /// The tokenizer that made the ids.
    pub tokenizer: TokenizerRecord,
    /// The parts of the artifact by name: `train`, `val`, `test`.
    pub splits: BTreeMap<PlainName, SplitRecord>,
    /// The files that the documents came from, in the order of reading.
    pub sources: Vec<SourceRecord>,
    /// The artifact that a pack indexes, or that rows were cut from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRecord>,
    /// The resolved configuration of the step that made the artifact.
    pub config: serde_json::Value,
}

/// The tokenizer that made an artifact's ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizerRecord {
    /// What the user called it: an alias, a hub id or a file name (never a path of the machine).
    pub name: String,
    /// Whose results the ids equal: `tokenizers` (JSON) or `sentencepiece` (`.model`).
    pub semantics: String,
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
    /// Rows as spans over the token bins of [`Manifest::base`].
    Pack(PackRecord),
    /// Rows written out: a pack made plain for other readers.
    Rows(RowsRecord),
}

/// One shard: a token bin, its document index and, for instruction data, its loss mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShardRecord {
    /// The place in [`Manifest::sources`] of the file it was made from; none when merged from many.
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
    /// One bit a token, lowest bit first: set where the token is learnt. None: every token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<FileRecord>,
}

/// Rows of `i16` inputs and labels, the labels already shifted by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsRecord {
    /// How many rows there are.
    pub rows: u64,
    /// How many tokens a row has.
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
    /// `[rows, ceil(row_len / 8)]` bytes, lowest bit first: set where the token is learnt.
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
    /// A checksum of its content.
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

/// Why a manifest was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is no manifest, or it cannot be read.
    #[error("{}: cannot read the manifest: {source}", .path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not a manifest.
    #[error("{}: not a manifest: {source}", .path.display())]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{}: format version {found}, this program reads {FORMAT_VERSION}", .path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version it has.
        found: u64,
    },
    /// A name, a path or a number cannot be what it is said to be.
    #[error("{}: not a manifest: {what}", .path.display())]
    Value {
        /// The manifest.
        path: PathBuf,
        /// Its key, what was found there, and what was expected.
        what: String,
    },
    /// It names no split, so there is nothing to read.
    #[error("{}: the artifact is empty: `splits` names none", .path.display())]
    Empty {
        /// The manifest.
        path: PathBuf,
    },
}

impl ManifestError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "an artifact is the folder that holds `manifest.json`; a run that was interrupted has none yet",
            ),
            Self::Version { .. } => Some("it was written by another version of ratdata"),
            Self::Value { .. } => {
                Some("it was edited, or written by another program; make the artifact again")
            }
            Self::Empty { .. } => Some("make the artifact again, of an input that has documents"),
            Self::Io { .. } | Self::Parse { .. } => None,
        }
    }
}

impl Manifest {
    /// Reads the manifest of the artifact folder `root`.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not a manifest, or is of another format version.
    pub fn read(root: &Path) -> Result<Self, ManifestError> {
        let path = root.join(MANIFEST_FILE);
        let text = read_regular(&path)
            .map_err(|source| ManifestError::Io { path: path.clone(), source })?;
        Self::parse(&path, &text)
    }

    /// Reads a manifest from its bytes; `path` is for messages alone.
    ///
    /// What it says holds together afterwards: names and paths stay in the folder, ids are in the
    /// vocabulary, rows have a length that memory holds, and counts add up.
    ///
    /// # Errors
    ///
    /// It is not a manifest, is of another format version, or names no split.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ManifestError> {
        let parse = |source| ManifestError::Parse { path: path.to_owned(), source };
        let value: serde_json::Value = serde_json::from_slice(text).map_err(parse)?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if let Some(found) = version.filter(|&found| found != u64::from(FORMAT_VERSION)) {
            return Err(ManifestError::Version { path: path.to_owned(), found });
        }
        let wrong = |what| ManifestError::Value { path: path.to_owned(), what };
        // The types refuse these names, too, and cannot tell under which key they stand.
        check_names(&value).map_err(wrong)?;
        let manifest = Self::deserialize(&value).map_err(|source| match wrong_part(&value) {
            Some(key) => wrong(format!("`{key}`: {source}")),
            None => parse(source),
        })?;
        if manifest.splits.is_empty() {
            return Err(ManifestError::Empty { path: path.to_owned() });
        }
        check(&manifest).map_err(wrong)?;
        Ok(manifest)
    }

    /// Writes the manifest into the artifact folder `root`: the one act that makes it an artifact.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), ArtifactError> {
        let mut file = StagedFile::create(&root.join(MANIFEST_FILE))?;
        file.write_json(self)?;
        drop(file.commit()?);
        Ok(())
    }

    /// Returns every file that the manifest names.
    pub fn files(&self) -> Vec<&FileRecord> {
        self.splits.values().flat_map(SplitRecord::files).collect()
    }
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
    fn another_format_version_is_refused_before_anything_else() {
        let refused =
            Manifest::parse(Path::new("m.json"), br#"{"format_version": 7}"#).unwrap_err();

        assert!(matches!(refused, ManifestError::Version { found: 7, .. }), "{refused}");
    }

    #[test]
    fn a_span_survives_its_bytes() {
        let span = Span { start: 1 << 40, len: 7, column: 4096 };

        assert_eq!(Span::from_bytes(span.to_bytes()), span);
    }
}

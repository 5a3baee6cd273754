//! Why an export, import or merge failed.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::layouts::LayoutError;
use ratdata_schemas::{
    ArtifactError, ArtifactInputError, BinError, BinSetError, Dtype, ManifestError, OtherJob,
    RowSetError, TokenId,
};
use ratdata_tokenize::source::SourceError;
use thiserror::Error;

/// Why an export, import or merge failed.
#[derive(Debug, Error)]
pub(crate) enum TranscodeError {
    #[error(transparent)]
    Artifact(ArtifactError),
    #[error(transparent)]
    Bin(#[from] BinError),
    #[error(transparent)]
    BinSet(#[from] BinSetError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    ArtifactInput(ArtifactInputError),
    #[error(transparent)]
    RowSet(#[from] RowSetError),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", .path.display())]
    Layout { path: PathBuf, source: LayoutError },
    #[error(transparent)]
    Source(SourceError),
    #[error("{}: row {row}: {source}", .path.display())]
    Row { path: PathBuf, row: u64, source: LayoutError },
    #[error("{}: this file was changed while it was read", .path.display())]
    Touched { path: PathBuf },
    #[error("{}: there is a file already", .path.display())]
    Exists { path: PathBuf },
    #[error("{}: holds what another job has begun: {difference}", .out.display())]
    OtherBegun { out: PathBuf, difference: String },
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
    #[error("{}: two files of the artifact would be this one", .path.display())]
    SameName { path: PathBuf },
    #[error("{}: what is written there would touch {}, which is read", .out.display(), .input.display())]
    InInput { out: PathBuf, input: PathBuf },
    #[error("{}: the name is not UTF-8, and the artifact's files and manifest would have it", .path.display())]
    NotUtf8 { path: PathBuf },
    #[error("the EOS id is {id}, the vocabulary has {vocab_size}: expected 0 to {}", .vocab_size.saturating_sub(1))]
    Eos { id: TokenId, vocab_size: u32 },
    #[error("the EOS id is {id}, which is more than ids of {dtype} can be")]
    EosWidth { id: TokenId, dtype: Dtype },
    #[error("split `{split}` holds rows, and `{layout}` holds streams of tokens")]
    RowsInStreams { split: String, layout: &'static str },
    #[error("split `{split}` holds streams of tokens, and `{layout}` holds rows")]
    StreamsInRows { split: String, layout: &'static str },
    #[error("split `{split}` holds one example a row, and `{layout}` holds packed rows")]
    NotPacked { split: String, layout: &'static str },
    #[error(
        "split `{split}`, row {row}, column {column}: the label is {label} and not the next token, as this layout has \
         it"
    )]
    OtherLabel { split: String, row: u64, column: usize, label: i32 },
    #[error("the rows cannot be written: {reason}")]
    Table { reason: String },
    #[error("`{layout}` parts documents by an EOS id, and the artifact's tokenizer has none")]
    NoEos { layout: &'static str },
    #[error("`{layout}` holds ids below {most}, the vocabulary has {vocab_size}")]
    Vocabulary { layout: &'static str, most: u32, vocab_size: u32 },
    #[error("ids of {dtype} cannot hold the tokenizer's vocabulary of {vocab_size}")]
    Width { dtype: Dtype, vocab_size: u32 },
    #[error("nothing says where the documents of {} end", .path.display())]
    NoDocuments { path: PathBuf },
    #[error("{}: no file of this layout, expected {expected}", .path.display())]
    NoFiles { path: PathBuf, expected: &'static str },
    #[error("{}: ids of {found}, expected {expected}", .path.display())]
    Dtype { path: PathBuf, found: Dtype, expected: Dtype },
    #[error("{}: id {id}, the vocabulary has {vocab_size}", .path.display())]
    TooLarge { path: PathBuf, id: TokenId, vocab_size: u32 },
    #[error(
        "{}: of the tokenizer `{found}`, and {} of another, `{expected}`",
        .path.display(), .first.display()
    )]
    Tokenizers { path: PathBuf, found: String, first: PathBuf, expected: String },
    #[error("{}: has no loss mask, and other shards of its split have one", .path.display())]
    NoMask { path: PathBuf },
    #[error("interrupted")]
    Interrupted,
}

impl TranscodeError {
    /// Wraps what is wrong with the bytes of one file.
    pub(crate) fn layout(path: &std::path::Path) -> impl Fn(LayoutError) -> Self + '_ {
        |source| Self::Layout { path: path.to_owned(), source }
    }

    /// Wraps what the system said about one file.
    pub(crate) fn io(path: &std::path::Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| match source.kind() {
            io::ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// Returns what the user can do about it, where there is something to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Artifact(wrong) => wrong.hint(),
            Self::Bin(wrong) => wrong.hint(),
            Self::BinSet(wrong) => wrong.hint(),
            Self::Manifest(wrong) => wrong.hint(),
            Self::ArtifactInput(wrong) => wrong.hint(),
            Self::RowSet(wrong) => wrong.hint(),
            Self::Touched { .. } => {
                Some("let what writes it end, then give the same command again")
            }
            Self::Layout { source, .. } | Self::Row { source, .. } => source.hint(),
            Self::Source(wrong) => wrong.hint(),
            Self::InInput { .. } => Some("choose an `--out` outside what is read"),
            Self::SameName { .. } => Some("give the artifact's files names of their own: merge it"),
            Self::NotUtf8 { .. } => Some("rename the file"),
            Self::Eos { .. } | Self::EosWidth { .. } => {
                Some("is it the EOS of this tokenizer? `--eos ID` says which id it is")
            }
            Self::Interrupted => Some("the same command continues"),
            Self::OtherJob(wrong) => Some(wrong.hint()),
            Self::Exists { .. } | Self::OtherBegun { .. } => {
                Some("choose another `--out`, or replace it with `--force`")
            }
            Self::RowsInStreams { .. } => Some(
                "rows are exported with `--to npy`, `npz`, `safetensors`, `arrow`, `megatron-sft` or `jsonl`",
            ),
            Self::StreamsInRows { .. } => Some("make rows of them with `ratdata pack`"),
            Self::NotPacked { .. } => Some("make the rows with `ratdata sft --packing best-fit`"),
            Self::OtherLabel { .. } => {
                Some("`--to npy`, `npz` and `safetensors` have the labels as they are")
            }
            Self::NoEos { .. } => Some("say which id it is with `--eos ID`"),
            Self::NoDocuments { .. } => Some(
                "say which id ends a document with `--eos ID` or `--tokenizer`, or take each file as one document with `--eos none`",
            ),
            Self::Dtype { .. } => {
                Some("the ids of one artifact have one width; import the others apart")
            }
            Self::Width { .. } => Some("ids that a tokenizer of this size made take `--dtype u32`"),
            Self::Tokenizers { .. } => Some("ids of different tokenizers mean different pieces"),
            Self::NoMask { .. } => Some("merge those with masks and those without apart"),
            Self::TooLarge { .. } => Some("is it the right tokenizer, and the right `--dtype`?"),
            Self::Io { .. }
            | Self::Table { .. }
            | Self::Vocabulary { .. }
            | Self::NoFiles { .. } => None,
        }
    }
}

impl From<SourceError> for TranscodeError {
    fn from(wrong: SourceError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::Source(wrong) }
    }
}

impl From<ArtifactError> for TranscodeError {
    fn from(wrong: ArtifactError) -> Self {
        match wrong {
            ArtifactError::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted => {
                Self::Interrupted
            }
            wrong => Self::Artifact(wrong),
        }
    }
}

impl From<ArtifactInputError> for TranscodeError {
    fn from(wrong: ArtifactInputError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::ArtifactInput(wrong) }
    }
}

//! Why a run's data was refused.

use std::path::PathBuf;

use ratdata_schemas::{BinError, BinSetError, ManifestError, RowSetError};
use thiserror::Error;

/// An error of opening or reading the data of a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Token bins are missing or wrong.
    #[error(transparent)]
    Bins(#[from] BinSetError),
    /// Rows are missing or wrong.
    #[error(transparent)]
    Rows(#[from] RowSetError),
    /// No data was named.
    #[error("no data was named")]
    None,
    /// One set of data and several sources were named at once.
    #[error("`data.path` and `data.sources` are both given, expected one of them")]
    Both,
    /// There is nothing at the path.
    #[error("{}: there is no such file or folder", .path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The artifact has no training part.
    #[error("{}: no split `train`, there are: {}", .path.display(), .present.join(", "))]
    NoTrain {
        /// The artifact.
        path: PathBuf,
        /// The splits that it has.
        present: Vec<String>,
    },
    /// There are no tokens.
    #[error("{}: split `{split}` is empty", .path.display())]
    Empty {
        /// The artifact or the bin.
        path: PathBuf,
        /// The split.
        split: String,
    },
    /// There are fewer tokens than one sequence has.
    #[error(
        "{}: split `{split}` has {found} tokens, a sequence takes {expected}",
        .path.display()
    )]
    Short {
        /// The artifact or the bin.
        path: PathBuf,
        /// The split.
        split: String,
        /// How many tokens there are.
        found: u64,
        /// The inputs of a sequence, and its last label.
        expected: u64,
    },
    /// There are fewer sequences than a batch has.
    #[error(
        "{}: {found} sequences of {seq_len} tokens, fewer than a batch of {expected}",
        .path.display()
    )]
    SmallerThanBatch {
        /// The artifact or the bin.
        path: PathBuf,
        /// How many sequences there are.
        found: u64,
        /// Inputs in a sequence.
        seq_len: usize,
        /// Sequences in a batch.
        expected: u64,
    },
    /// There are fewer sequences than shares.
    #[error("{}: {found} sequences cannot be {expected} shares", .path.display())]
    SmallerThanShares {
        /// The artifact or the bin.
        path: PathBuf,
        /// How many sequences there are.
        found: u64,
        /// `data.shares`.
        expected: u64,
    },
    /// The tokenizer has more ids than the embedding has rows.
    #[error(
        "{}: ids of a vocabulary of {found}, the model's `vocab_size` is {expected}",
        .path.display()
    )]
    Vocabulary {
        /// The artifact.
        path: PathBuf,
        /// The tokenizer's vocabulary.
        found: u64,
        /// The model's vocabulary.
        expected: usize,
    },
    /// An id is outside the embedding.
    #[error("{place}: found the id {found}, the model's `vocab_size` is {expected}")]
    Id {
        /// The sequence that has the id.
        place: String,
        /// The id.
        found: u64,
        /// The model's vocabulary.
        expected: usize,
    },
    /// The rows have another length than the model's sequences.
    #[error(
        "{}: rows of {found} inputs, the model's `seq_len` is {expected}",
        .path.display()
    )]
    SeqLen {
        /// The artifact.
        path: PathBuf,
        /// Inputs in a row.
        found: usize,
        /// Inputs in a sequence of the model.
        expected: usize,
    },
    /// A weight is not a positive number.
    #[error("source `{name}`: the weight is {found}, expected a positive number")]
    Weight {
        /// The source.
        name: String,
        /// Its weight.
        found: f64,
    },
    /// The thread that prepares batches ended early.
    #[error("the thread that prepares batches ended early")]
    Lost,
}

impl DataError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Manifest(wrong) => wrong.hint(),
            // The option of `ratdata` has another name in the trainer.
            Self::Bins(BinSetError::Bin(BinError::Ragged { .. })) => {
                Some("is the dtype right? `--set data.dtype=u32` says how wide the ids are")
            }
            Self::Bins(wrong) => wrong.hint(),
            Self::Rows(wrong) => wrong.hint(),
            Self::None => {
                Some("name an artifact of `ratdata tokenize`, `sft` or `pack` with `--data DIR`")
            }
            Self::Both => {
                Some("`--data` names one set; a mixture is named by `data.sources` alone")
            }
            Self::Empty { .. } | Self::Short { .. } => {
                Some("tokenize more text, or take a shorter `--set model.seq_len=N`")
            }
            Self::SmallerThanBatch { .. } => {
                Some("tokenize more text, or take a smaller `--set training.global_batch=N`")
            }
            Self::SmallerThanShares { .. } => Some("take a smaller `--set data.shares=N`"),
            Self::Vocabulary { .. } | Self::Id { .. } => Some(
                "was the data made with another tokenizer? `--set model.vocab_size=N` makes a model for it",
            ),
            Self::SeqLen { .. } => {
                Some("pack with `--seq-len` of the model, or take `--set model.seq_len=N`")
            }
            Self::Missing { .. } | Self::NoTrain { .. } | Self::Weight { .. } | Self::Lost => None,
        }
    }

    /// Returns whether the command line or the configuration is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::None | Self::Both | Self::Missing { .. } | Self::Weight { .. })
    }
}

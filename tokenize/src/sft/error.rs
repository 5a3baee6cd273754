//! Why instruction data could not be made into rows.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::{ArtifactError, ManifestError};
use thiserror::Error;

use super::task::TaskError;
use crate::hub::HubError;
use crate::source::{Place, SourceError};
use crate::tokenizer::EncodeError;

/// An error of a job over instruction data.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SftError {
    /// The task cannot be used.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The data cannot be found or fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The data cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// The artifact cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What is in the output folder cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A row cannot be used.
    #[error("{}: {place}: {reason}", .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// A text cannot be encoded.
    #[error("{}: {place}: {source}", .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: Place,
        /// What is wrong with it.
        source: EncodeError,
    },
    /// The chat template is missing or wrong.
    #[error("chat template: {reason}")]
    ChatTemplate {
        /// What is wrong, with its line and column where it has one.
        reason: String,
    },
    /// Fewer examples than are to be drawn.
    #[error(
        "split `{split}`: found {found} rows, expected at least {wanted} to draw {wanted} from"
    )]
    Sample {
        /// The part.
        split: String,
        /// How many examples there are.
        found: usize,
        /// How many were to be drawn.
        wanted: u32,
    },
    /// No example is left.
    #[error("split `{split}`: no row is left of {rows}: {reason}")]
    Nothing {
        /// The part.
        split: String,
        /// How many rows were read.
        rows: u64,
        /// Why.
        reason: &'static str,
    },
    /// The vocabulary does not fit the pairs' width.
    #[error("the vocabulary has {vocab_size} ids, int16 pairs hold 32,767")]
    PairsWidth {
        /// The largest id plus one.
        vocab_size: u32,
    },
    /// The tokenizer has no end-of-text id.
    #[error("the tokenizer has no EOS, with which rows are closed and filled up")]
    NoEos,
    /// A row length that leaves no room.
    #[error("split `{split}`: {reason}")]
    Length {
        /// The part.
        split: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds the result of another job.
    #[error("{}: holds another job's result: {difference}", .out.display())]
    OtherJob {
        /// The output folder.
        out: PathBuf,
        /// What differs, there and here.
        difference: String,
    },
    /// A file of a finished split is not there any more, or not all of it.
    #[error("{}: missing, or of another size than the manifest records", .path.display())]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// A temporary file failed.
    #[error("{}: cannot use it for temporary files: {source}", .folder.display())]
    Staging {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What a share of the job left cannot be read.
    #[error("{}: cannot read the rows of a share: {source}", .path.display())]
    Portion {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user stopped the run.
    #[error("interrupted; splits that were done stay done")]
    Interrupted,
}

impl SftError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Task(wrong) => wrong.hint(),
            Self::Hub(wrong) => wrong.hint().map(ToString::to_string),
            Self::Source(SourceError::NoColumn { .. } | SourceError::ColumnType { .. }) => {
                Some("name the columns as they are, in a copy of the task: `--task-file`".into())
            }
            Self::Source(wrong) => wrong.hint().map(Into::into),
            Self::Artifact(wrong) => wrong.hint().map(Into::into),
            Self::Manifest(wrong) => wrong.hint().map(Into::into),
            Self::Row { .. } => Some("leave such rows out with `--on-bad-row skip`".into()),
            Self::ChatTemplate { .. } => Some(
                "give one as `chat.template` in the task file; `{% generation %}` around an assistant turn says exactly what is learnt".into(),
            ),
            Self::Sample { .. } => Some("is the file whole? a task file can ask for fewer".into()),
            Self::Nothing { .. } => Some("a larger `--max-length` leaves more room".into()),
            Self::PairsWidth { .. } => {
                Some("ask for packed rows instead: `--packing best-fit`".into())
            }
            Self::OtherJob { .. } => {
                Some("choose another `--out`, or replace it with `--force`".into())
            }
            Self::Lost { .. } => Some("make the artifact again with `--force`".into()),
            Self::Portion { .. } => {
                Some("remove the file: its rows are then encoded again".into())
            }
            Self::Encode { source, .. } => source.hint().map(Into::into),
            Self::NoEos
            | Self::Length { .. }
            | Self::Staging { .. }
            | Self::Interrupted => None,
        }
    }

    /// Returns whether the command line or the task, rather than the data, is wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Task(_)
            | Self::PairsWidth { .. }
            | Self::Length { .. }
            | Self::OtherJob { .. }
            | Self::ChatTemplate { .. } => true,
            Self::Hub(wrong) => wrong.is_usage(),
            _ => false,
        }
    }
}

impl From<SourceError> for SftError {
    fn from(wrong: SourceError) -> Self {
        if wrong.is_stop() { Self::Interrupted } else { Self::Source(wrong) }
    }
}

//! Why instruction data could not be made into rows.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::{ArtifactError, ManifestError, OtherJob};
use thiserror::Error;

use crate::hub::HubError;
use crate::source::{Place, SourceError};
use crate::tokenizer::EncodeError;
use ratdata_schemas::recipe::TaskError;

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
    /// Nothing below `--input` is a split's own.
    #[error(
        "{}: no file of split `{split}`: looked for {}; the folder holds {}",
        .folder.display(), paths(.looked), names(.there)
    )]
    NoFile {
        /// The part.
        split: String,
        /// The folder that the user named.
        folder: PathBuf,
        /// The paths that were tried.
        looked: Vec<PathBuf>,
        /// What is in the folder.
        there: Vec<String>,
    },
    /// All files of a folder or pattern belong to other splits by their names.
    #[error("split `{split}`: `{named}` has files of other splits alone: {}", names(.files))]
    OthersFiles {
        /// The part.
        split: String,
        /// What the task or the user named.
        named: String,
        /// The files.
        files: Vec<String>,
    },
    /// Two splits would read one file.
    #[error("{}: read by split `{first}` and by split `{second}`", .path.display())]
    SharedFile {
        /// The file.
        path: PathBuf,
        /// One part.
        first: String,
        /// The other.
        second: String,
    },
    /// `--input` is a file, and several splits are made.
    #[error("{}: one file cannot be splits {}", .path.display(), names(.splits))]
    OneFile {
        /// The file.
        path: PathBuf,
        /// The parts.
        splits: Vec<String>,
    },
    /// The rows do not fit the disk.
    #[error(
        "split `{split}`: {rows} rows of {max_length} tokens need {needed} bytes, the disk of {} has {free} left",
        .folder.display()
    )]
    Room {
        /// The part.
        split: String,
        /// How many rows there are.
        rows: u64,
        /// How long each is.
        max_length: u32,
        /// The bytes of all.
        needed: u64,
        /// The bytes that are free.
        free: u64,
        /// The output folder.
        folder: PathBuf,
    },
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
    /// The chat template refuses a conversation as it would refuse any.
    #[error("{}: {place}: {reason}", .path.display())]
    RefusedRow {
        /// The file.
        path: PathBuf,
        /// The row or line.
        place: Place,
        /// What the template says.
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
    #[error(transparent)]
    OtherJob(#[from] OtherJob),
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
    /// The system has no room for a thread of the job.
    #[error("no thread can be started: {source}")]
    Thread {
        /// Why not.
        source: io::Error,
    },
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
            Self::NoFile { .. } => Some(
                "`--input` names the folder that holds each split's own file, by the path that the task gives it or by its name alone".into(),
            ),
            Self::OthersFiles { .. } => {
                Some("name the file itself as the split's `source`, if that is meant".into())
            }
            Self::SharedFile { .. } => Some(
                "give each split a file of its own; where both are meant to read it, give both the same `source`, the path of that one file".into(),
            ),
            Self::OneFile { .. } => Some(
                "name the part with `--split`, or a folder with a file for each part with `--input`".into(),
            ),
            Self::Room { .. } => Some("free some space, choose a smaller `--max-length`, or pack the rows: `--packing best-fit`".into()),
            Self::Row { .. } => Some("leave such rows out with `--on-bad-row skip`".into()),
            Self::RefusedRow { .. } => Some(
                "the template refuses any conversation so, so leaving rows out cannot help; give another as `chat.template` in the task file".into(),
            ),
            Self::ChatTemplate { .. } => Some(
                "give one with `--chat-template NAME`, or as `chat.template` in the task file; `{% generation %}` around an assistant turn says exactly what is trained on".into(),
            ),
            Self::Sample { .. } => Some("is the file whole? a task file can ask for fewer".into()),
            Self::Nothing { .. } => Some("a larger `--max-length` leaves more room".into()),
            Self::PairsWidth { .. } => {
                Some("ask for packed rows instead: `--packing best-fit`".into())
            }
            Self::OtherJob(wrong) => Some(wrong.hint().into()),
            Self::Lost { .. } => Some("make the artifact again with `--force`".into()),
            Self::Portion { .. } => {
                Some("remove the file: its rows are then encoded again".into())
            }
            Self::Encode { source, .. } => source.hint().map(Into::into),
            Self::NoEos
            | Self::Length { .. }
            | Self::Staging { .. }
            | Self::Thread { .. }
            | Self::Interrupted => None,
        }
    }

    /// Returns whether the command line or the task, rather than the data, is wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Task(_)
            | Self::NoFile { .. }
            | Self::OthersFiles { .. }
            | Self::SharedFile { .. }
            | Self::OneFile { .. }
            | Self::PairsWidth { .. }
            | Self::Length { .. }
            | Self::OtherJob(_)
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

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    if shown.is_empty() {
        "nothing, since the split's `source` names no file".into()
    } else {
        shown.join(", ")
    }
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

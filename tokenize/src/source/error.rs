//! Why documents could not be read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of finding or reading documents.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system refused the file.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing is there by that name.
    #[error(
        "`{pattern}`: no input matched; expected a file, a folder or a pattern of parquet, JSON lines or text files"
    )]
    NoInput {
        /// What was given.
        pattern: String,
    },
    /// A pattern is malformed.
    #[error("`{pattern}`: not a pattern: {reason}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a kind that is not read.
    #[error("{}: unknown kind of file; expected .parquet, .jsonl, .jsonl.gz, .jsonl.zst or .txt", .path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A file without a byte.
    #[error("{}: the file is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file whose name no manifest can say.
    #[error("{}: the name is not UTF-8, and manifests name their sources", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A file that is cut or damaged.
    #[error("{}: damaged at {place}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What the reader said.
        reason: String,
    },
    /// The text column is missing.
    #[error("{}: no column `{column}`; the columns are: {}", .path.display(), .present.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// The columns there are.
        present: Vec<String>,
    },
    /// The text column holds something else.
    #[error("{}: column `{column}` holds {found}, expected text", .path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
    },
}

impl SourceError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoColumn { .. } | Self::ColumnType { .. } => {
                Some("name the column that holds the text with `--text-column`")
            }
            Self::Damaged { .. } => Some("the file was cut or changed; fetch or write it again"),
            Self::Empty { .. } => Some("remove the file from the input, or fetch it again"),
            Self::NoInput { .. } => {
                Some("is the path right? quote patterns, so that the shell leaves them alone")
            }
            Self::NotUtf8 { .. } => Some("rename the file, or keep it out of the input"),
            Self::UnknownKind { .. } => {
                Some("rename it to end as its kind does, or keep it out of the input")
            }
            Self::Pattern { .. } => Some(
                "write `[[]` for a `[` that stands for itself, and quote patterns, so that the shell leaves them alone",
            ),
            Self::Io { .. } => None,
        }
    }
}

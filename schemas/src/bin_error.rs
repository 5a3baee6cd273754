//! Why a file of an artifact could not be read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of opening or reading one token bin, index or mask.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BinError {
    /// The operating system refused the file.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file's size is not a whole number of entries.
    #[error("{}: {bytes} bytes, not a multiple of {width}", .path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The size of one entry.
        width: usize,
    },
    /// The file has another size than the one recorded for it.
    #[error("{}: {found} bytes on disk, {expected} recorded", .path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size on disk.
        found: u64,
        /// The size that was promised.
        expected: u64,
    },
    /// A link leads out of the artifact's folder.
    #[error("{}: leads to {}, which is not inside the artifact", .path.display(), .real.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
    },
    /// The document ends of an index go down or pass the end of the bin.
    #[error("{}: document {document} ends at token {end}, {reason}", .path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The first document that is wrong.
        document: u64,
        /// Where it is said to end.
        end: u64,
        /// What is wrong with that.
        reason: String,
    },
}

impl BinError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            // Linux says so where a process has as many maps as it may.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::OutOfMemory => Some(
                "the system maps so many files at once and no more (`sysctl vm.max_map_count`): raise that, or make fewer and larger shards, as with `tokenize --merge`",
            ),
            Self::Io { .. } => None,
            Self::Outside { .. } => Some(
                "an artifact holds its own files; copy the file to its place, where you trust it",
            ),
            Self::Ragged { width: 8, .. } => Some("the index was cut, or is none"),
            Self::Ragged { .. } => {
                Some("is the dtype right? `--dtype u16|u32` says how wide the ids are")
            }
            Self::Size { .. } | Self::Index { .. } => Some(
                "the file was cut or replaced after it was written; make the artifact again with `--force`",
            ),
        }
    }
}

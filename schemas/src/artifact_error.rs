//! Why an artifact could not be written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::refusal::refusal_hint;

/// Why an artifact could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The operating system refused.
    #[error("{}: cannot write: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A link leads out of the folder that is written into.
    #[error("{}: lies in {}, which is not inside the artifact", .path.display(), .real.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// Where its folder leads.
        real: PathBuf,
    },
    /// Another run writes into the folder.
    #[error("{}: another run is writing into this folder", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Another run writes the file.
    #[error("{}: another run is writing this file", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

impl ArtifactError {
    /// Returns what makes an error of the system one of this file or folder, for `map_err`.
    pub fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outside { .. } => Some("choose another `--out`"),
            Self::Locked { .. } | Self::Busy { .. } => {
                Some("wait for it to end, or choose another `--out`")
            }
            Self::Io { source, .. } => refusal_hint(source),
        }
    }
}

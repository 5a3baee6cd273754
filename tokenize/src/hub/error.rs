//! Why something could not be had from the hub.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::ALIASES;
use crate::source::SourceError;

/// An error of finding or fetching by name.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// The files on disk are not what they should be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No file, alias or hub id is called so.
    #[error(
        "`{wanted}`: no such tokenizer; expected a file, a folder, a hub id such as `openai-community/gpt2`, or one of: {}",
        ALIASES.map(|(alias, _)| alias).join(", ")
    )]
    UnknownTokenizer {
        /// What was asked for.
        wanted: String,
    },
    /// The address is malformed.
    #[error("`{address}`: expected `hf://datasets/OWNER/NAME[@REVISION]/PATH`")]
    Address {
        /// What was given.
        address: String,
    },
    /// The hub has no such thing.
    #[error("{what}: not on the hub at {endpoint}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
    },
    /// The hub wants a token, or another one.
    #[error("{what}: the hub at {endpoint} refused access")]
    Refused {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
    },
    /// The hub cannot be reached.
    #[error("{what}: cannot be fetched from {endpoint}: {reason}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// `HF_HUB_OFFLINE` is set and the cache does not have it.
    #[error("{what}: not in the cache at {}, and HF_HUB_OFFLINE is set", .cache.display())]
    Offline {
        /// What was asked for.
        what: String,
        /// The cache.
        cache: PathBuf,
    },
    /// What arrived is not what the hub says the file is.
    #[error("{what}: what arrived has another length or checksum than the hub says")]
    Damaged {
        /// What was asked for.
        what: String,
    },
    /// The hub sends what Git leaves in the place of a large file.
    #[error("{what}: the hub sends a pointer of Git LFS, not the file that it stands for")]
    Pointer {
        /// What was asked for.
        what: String,
    },
    /// The user stopped the download.
    #[error("interrupted; what was fetched is kept, the same command goes on")]
    Interrupted,
    /// The cache cannot be written.
    #[error("{}: cannot write the hub cache: {source}", .path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl HubError {
    /// Returns whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownTokenizer { .. } | Self::Address { .. })
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Source(wrong) => wrong.hint(),
            Self::NotFound { .. } => {
                Some("check the name; a private one looks missing until HF_TOKEN is set")
            }
            Self::Refused { .. } => {
                Some("set HF_TOKEN to a token that may read it, and accept its terms on its page")
            }
            Self::Unreachable { .. } => Some(
                "to work offline, give local paths with `--input` and `--tokenizer`; HF_ENDPOINT names a mirror; what was fetched so far is kept",
            ),
            Self::Offline { .. } => Some(
                "unset HF_HUB_OFFLINE to fetch it, or give local paths with `--input` and `--tokenizer`",
            ),
            Self::Cache { .. } => Some("HF_HOME names another folder for the cache"),
            Self::Damaged { .. } => {
                Some("it was removed; run the same command again to fetch it anew")
            }
            Self::Pointer { .. } => Some(
                "its large files were never uploaded, or the mirror that HF_ENDPOINT names keeps none; where you have a clone, `git lfs pull` fetches them",
            ),
            Self::UnknownTokenizer { .. } | Self::Address { .. } | Self::Interrupted => None,
        }
    }
}

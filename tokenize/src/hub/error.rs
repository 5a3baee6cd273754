//! Why something could not be had from the hub.

use std::io;
use std::path::PathBuf;

use ratdata_schemas::layered::nearest;
use ratdata_schemas::refusal_hint;
use thiserror::Error;

use super::aliases::ALIASES;
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
        "`{wanted}`: no such tokenizer{}; expected a file, a folder, a hub id such as `openai-community/gpt2`, or one of: {}",
        nearest(.wanted, ALIASES.iter().map(|&(alias, _)| alias))
            .map_or_else(String::new, |alias| format!(", perhaps `{alias}`")),
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
    /// The hub names a file that would be outside of its folder.
    #[error("{what}: the hub names the file `{}`, which is not inside the repository", .path.escape_debug())]
    Outside {
        /// What was asked for.
        what: String,
        /// The file, as the hub names it.
        path: String,
    },
    /// A variable of the environment has no value that can be used.
    #[error("{name} is `{value}`, expected {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The hub has no such thing.
    #[error("{what}: not on the hub at {endpoint}{}", perhaps(.what))]
    NotFound {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
    },
    /// The hub does not know who asks: it says so, too, for names that it does not have.
    #[error(
        "{what}: the hub at {endpoint} refused access (401): {}{}",
        if *.has_token { "it does not take the token" } else { "there is nothing of this name, or it is private" },
        perhaps(.what)
    )]
    Unauthorized {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The hub knows who asks, and does not show it.
    #[error("{what}: the hub at {endpoint} refused access (403)")]
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
    /// The hub accepts the request and sends nothing.
    #[error("{what}: the hub at {endpoint} is silent: no byte for {seconds} seconds")]
    Silent {
        /// What was asked for.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// How long it was waited for.
        seconds: f64,
    },
    /// The hub has the pointer to a large file, and not the file.
    #[error("{what}: the hub sends a Git LFS pointer, not the file that it stands for")]
    Pointer {
        /// What was asked for.
        what: String,
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
    /// The user stopped the download.
    #[error("interrupted; what was fetched is kept, and the same command continues")]
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
        match self {
            Self::Source(SourceError::Object(wrong)) => wrong.is_usage(),
            Self::Source(SourceError::Stdin)
            | Self::UnknownTokenizer { .. }
            | Self::Address { .. }
            | Self::Variable { .. } => true,
            _ => false,
        }
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Source(wrong) => wrong.hint(),
            Self::NotFound { .. } => {
                Some("check the name; a private one looks missing until HF_TOKEN is set")
            }
            Self::Unauthorized { has_token: false, .. } => Some(
                "check the name first: the hub says the same of names that it does not have; for a private or gated one set HF_TOKEN",
            ),
            Self::Unauthorized { has_token: true, .. } => Some(
                "check the name first, then the token: set HF_TOKEN to one that is still good and may read it",
            ),
            Self::Refused { .. } => {
                Some("set HF_TOKEN to a token that may read it, and accept its terms on its page")
            }
            Self::Silent { .. } => Some(
                "run the same command again: what was fetched is kept; HF_HUB_DOWNLOAD_TIMEOUT says how many seconds to wait, HF_ENDPOINT names a mirror",
            ),
            Self::Pointer { .. } => Some(
                "this copy of the repository lacks its large files: HF_ENDPOINT names another hub; where you have a clone, `git lfs pull` fetches them",
            ),
            Self::Unreachable { .. } => Some(
                "to work offline, give local paths with `--input` and `--tokenizer`; HF_ENDPOINT names a mirror; what was fetched so far is kept",
            ),
            Self::Offline { .. } => Some(
                "unset HF_HUB_OFFLINE to fetch it, or give local paths with `--input` and `--tokenizer`",
            ),
            Self::Cache { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("HF_HOME names another folder for the cache")
                }
                io::ErrorKind::StorageFull => Some(
                    "free some space and run the same command again: what was fetched is kept; HF_HOME names another folder for the cache",
                ),
                _ => refusal_hint(source).or(Some("HF_HOME names another folder for the cache")),
            },
            Self::Damaged { .. } => {
                Some("it was removed; run the same command again to fetch it again")
            }
            Self::UnknownTokenizer { .. }
            | Self::Address { .. }
            | Self::Outside { .. }
            | Self::Variable { .. }
            | Self::Interrupted => None,
        }
    }
}

/// Names the repository that was meant, where there is one near.
fn perhaps(what: &str) -> String {
    near(what).map_or_else(String::new, |near| format!("; `{near}` perhaps"))
}

/// Returns the repository that was meant, perhaps: one of those that have an alias.
fn near(what: &str) -> Option<&'static str> {
    let mut parts = what.splitn(3, '/');
    let id = format!("{}/{}", parts.next()?, parts.next()?);
    let near = nearest(&id, ALIASES.iter().map(|&(_, known)| known))?;
    let known = ALIASES.iter().map(|&(_, known)| known).find(|&known| known == near)?;
    // Another version or size is no mistyped one.
    let digits = |id: &str| -> String { id.chars().filter(char::is_ascii_digit).collect() };
    (known != id && digits(known) == digits(&id)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_repository_finds_its_neighbour() {
        assert_eq!(near("openai-comunity/gpt2/tokenizer.json"), Some("openai-community/gpt2"));
        assert_eq!(near("openai-community/gpt2"), None);
        assert_eq!(near("mistralai/Mistral-7B-v0.3"), None);
        assert_eq!(near("somebody/else"), None);
        assert_eq!(near("the hub"), None);
    }
}

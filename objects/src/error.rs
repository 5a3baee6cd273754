//! Why an object could not be read or written.

use std::io;

use thiserror::Error;

use crate::address::{Address, AddressError, Scheme};

/// An error of an object store.
///
/// Several readers of one block are told of one failure, so that it can be cloned.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// A text is an address by its scheme, and no right one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The environment names no store that can be asked.
    #[error("{address}: no connection to the store: {reason}")]
    Setup {
        /// What was asked for.
        address: Address,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is there.
    #[error("{address}: not there")]
    NotFound {
        /// What was asked for.
        address: Address,
    },
    /// The store does not allow it.
    #[error("{address}: the store refused access: {reason}")]
    Refused {
        /// What was asked for.
        address: Address,
        /// What it said.
        reason: String,
    },
    /// The object was replaced after it was seen.
    #[error("{address}: the object was changed while it was read")]
    Changed {
        /// The object.
        address: Address,
    },
    /// A server says nothing by which a change would be seen.
    #[error(
        "{address}: the server sends neither `ETag` nor `Last-Modified`, so that a change would not be seen"
    )]
    NoIdentity {
        /// The object.
        address: Address,
    },
    /// The place cannot be listed or written.
    #[error("{address}: a web server has no folders to list, and nothing is written there")]
    NoStore {
        /// What was asked for.
        address: Address,
    },
    /// The store failed, again and again.
    #[error("{address}: {reason}")]
    Failed {
        /// What was asked for.
        address: Address,
        /// What it said last.
        reason: String,
    },
    /// A file on this side cannot be read or written.
    #[error("{path}: {reason}")]
    Disk {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The program has no room for its connections.
    #[error("no connection can be made: {reason}")]
    Runtime {
        /// What the system said.
        reason: String,
    },
    /// The user stopped the wait.
    #[error("interrupted")]
    Interrupted,
}

impl ObjectError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Setup { address, .. } | Self::Refused { address, .. } => match address.scheme() {
                Scheme::S3 => Some(
                    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION say who asks; AWS_ENDPOINT_URL names another store; AWS_SKIP_SIGNATURE=true reads a public bucket",
                ),
                Scheme::Gs => Some(
                    "GOOGLE_APPLICATION_CREDENTIALS names the file of an account; GOOGLE_SKIP_SIGNATURE=true reads a public bucket",
                ),
                Scheme::Az => Some(
                    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_SAS_KEY, say who asks",
                ),
                Scheme::Https | Scheme::Http | Scheme::Memory => None,
            },
            Self::NotFound { .. } => Some(
                "is the address right? a key has upper and lower case, and no `/` at its beginning",
            ),
            Self::Changed { .. } => {
                Some("let what writes it end, then give the same command again")
            }
            Self::NoIdentity { .. } => Some("fetch the file, and name the copy"),
            Self::NoStore { .. } => Some("name each file by its own address"),
            Self::Failed { .. } => {
                Some("run the same command again: what was done is kept, and it continues")
            }
            Self::Disk { .. } => Some("is there enough space left?"),
            Self::Address(_) | Self::Runtime { .. } | Self::Interrupted => None,
        }
    }

    /// Returns whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_) | Self::NoStore { .. })
    }

    /// Tells what a store's library said of an address.
    pub(crate) fn of(address: &Address, wrong: &object_store::Error) -> Self {
        let address = address.clone();
        match wrong {
            object_store::Error::NotFound { .. } => Self::NotFound { address },
            object_store::Error::Precondition { .. } => Self::Changed { address },
            object_store::Error::PermissionDenied { source, .. }
            | object_store::Error::Unauthenticated { source, .. } => {
                Self::Refused { address, reason: told(source.as_ref()) }
            }
            other => Self::Failed { address, reason: told(other) },
        }
    }
}

impl From<ObjectError> for io::Error {
    fn from(wrong: ObjectError) -> Self {
        Self::other(wrong)
    }
}

/// The most characters that are shown of what a store said: it may be a page.
const SHOWN: usize = 300;

/// Returns what a store said, in one line.
fn told(wrong: &dyn std::error::Error) -> String {
    let mut text = wrong.to_string();
    let mut cause = wrong.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

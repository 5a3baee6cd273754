//! What a check finds: the first thing that is not as the manifest says, where, and what changed.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What must have changed, if something is not as the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    /// The artifact: its own files contradict its manifest.
    Artifact,
    /// A given source: its fingerprint is not the recorded one.
    Source,
    /// The encoding: the artifact is intact, and tokenizer and source are the recorded ones.
    Encoding,
}

impl Cause {
    /// Returns what the user can do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Artifact => {
                "the artifact was changed after it was written; make it again with `--force`"
            }
            Self::Source => {
                "the artifact's own files are as recorded; give the files that were tokenized with `--input`"
            }
            Self::Encoding => {
                "sizes, checksums and fingerprints are as recorded, so the engine and the oracle differ, or the source was changed where its fingerprint does not look; please report the first with this document"
            }
        }
    }
}

/// Something that is not as the manifest says, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offence {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong, with its place in the file.
    pub(crate) what: String,
    pub(crate) cause: Cause,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// An offence and the position of its unit in the whole work; the first one is the smallest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// The number of the artifact, of the check, and of the unit in the check.
    place: Vec<u64>,
    pub(crate) offence: Offence,
}

/// Why a check ended early: something differs, or the check itself failed.
#[derive(Debug)]
pub(crate) enum Ended {
    Differs(Finding),
    Failed(Failure),
}

impl Ended {
    /// Something about the file or folder `path` is not as recorded.
    pub(super) fn at(path: &Path, what: impl fmt::Display) -> Self {
        Self::differs(path, what, Cause::Artifact)
    }

    /// Something is not as recorded, for any cause.
    pub(super) fn differs(path: &Path, what: impl fmt::Display, cause: Cause) -> Self {
        let offence = Offence { path: path.to_owned(), what: what.to_string(), cause };
        Self::Differs(Finding { place: Vec::new(), offence })
    }

    /// Adds the number of the part of the work that found it; the innermost part is added first.
    pub(super) fn within(mut self, part: usize) -> Self {
        if let Self::Differs(finding) = &mut self {
            finding.place.insert(0, part as u64);
        }
        self
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

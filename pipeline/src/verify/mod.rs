//! Verifies that an artifact is what its manifest says, together with the artifacts that it reads.
//!
//! The work consists of units: a file, an index, a stretch of ids, a document. A [`Share`] has every
//! N-th unit, and checks its units in their order. A [`Finding`] has the position of its unit, so the
//! first fault of all shares is the one that a whole check finds first.

mod base;
mod counts;
mod files;
mod portions;
mod retokenize;
mod seen;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_schemas::Manifest;
use ratdata_tokenize::Share;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use base::{Base, base_of};
use counts::check_counts;
use files::{check_files, check_structure};
pub(crate) use portions::{Portion, Portions};
pub(crate) use retokenize::{Retokenize, retokenize};
pub(crate) use seen::state_of;
use values::check_values;

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
    fn at(path: &Path, what: impl fmt::Display) -> Self {
        Self::differs(path, what, Cause::Artifact)
    }

    /// Something is not as recorded, for any cause.
    fn differs(path: &Path, what: impl fmt::Display, cause: Cause) -> Self {
        let offence = Offence { path: path.to_owned(), what: what.to_string(), cause };
        Self::Differs(Finding { place: Vec::new(), offence })
    }

    /// Adds the number of the part of the work that found it; the innermost part is added first.
    fn within(mut self, part: usize) -> Self {
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

/// How much was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proof {
    /// Files, their sizes together, and the ids in them.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) ids: u64,
    /// Bases that were also read, and whether one is missing.
    pub(crate) bases: u64,
    pub(crate) base_missing: bool,
}

impl Proof {
    /// Joins the numbers of two shares of one check.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
            ids: self.ids + other.ids,
            bases: self.bases.max(other.bases),
            base_missing: self.base_missing || other.base_missing,
        }
    }
}

/// Returns the number of units of the largest check of an artifact's own files.
pub(crate) fn units(manifest: &Manifest) -> usize {
    manifest.files().len().max(values::units(manifest))
}

/// Verifies a share of an artifact, then of its base if its rows read that, and so on. Bases name each
/// other by checksum, so they cannot form a circle.
pub(crate) fn prove(root: &Path, manifest: &Manifest, share: Share) -> Result<Proof, Ended> {
    let mut proof = Proof::default();
    let (mut root, mut manifest) = (root.to_owned(), manifest.clone());
    for artifact in 0.. {
        let found = prove_one(&root, &manifest, share, &mut proof);
        match found.map_err(|ended| ended.within(artifact))? {
            Base::None => break,
            Base::Missing => {
                proof.base_missing = true;
                break;
            }
            Base::There(folder, base) => (root, manifest) = (folder, *base),
        }
        proof.bases += 1;
    }
    Ok(proof)
}

/// Makes all checks of one artifact, one after the other, and returns its base.
fn prove_one(
    root: &Path,
    manifest: &Manifest,
    share: Share,
    proof: &mut Proof,
) -> Result<Base, Ended> {
    let of = |check: usize| move |ended: Ended| ended.within(check);
    let (files, bytes) = check_files(root, manifest, share).map_err(of(0))?;
    check_structure(root, manifest, share).map_err(of(1))?;
    if share.has(0) {
        check_counts(root, manifest).map_err(of(2))?;
    }
    proof.ids += check_values(root, manifest, share).map_err(of(3))?;
    proof.files += files;
    proof.bytes += bytes;
    base_of(root, manifest, share).map_err(of(4))
}

//! Verifies that an artifact is what its manifest says, together with the artifacts that it reads.
//!
//! The work consists of units: a file, an index, a stretch of ids, a document. A [`Share`] has every
//! N-th unit, and checks its units in their order. A [`Finding`] has the position of its unit, so the
//! first fault of all shares is the one that a whole check finds first.

mod base;
mod counts;
mod files;
mod finding;
mod portions;
mod preference;
mod retokenize;
mod seen;
mod values;

use std::path::Path;

use ratdata_schemas::Manifest;
use ratdata_tokenize::Share;
use serde::{Deserialize, Serialize};

use base::{Base, base_of};
use counts::check_counts;
use files::{check_files, check_structure};
pub(crate) use finding::{Cause, Ended, Finding, Offence};
pub(crate) use portions::{Portion, Portions};
use preference::check_preference;
pub(crate) use retokenize::{Compared, Retokenize, retokenize};
pub(crate) use seen::state_of;
use values::check_values;

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
    if share.has(0) {
        check_preference(root, manifest).map_err(of(4))?;
    }
    base_of(root, manifest, share).map_err(of(5))
}

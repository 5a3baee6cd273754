//! Proves that an artifact is what its manifest says, and so is everything that it reads.

mod base;
mod counts;
mod files;
mod retokenize;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_schemas::Manifest;
use serde::Serialize;

use crate::failure::Failure;
pub(crate) use base::Base;
use base::base_of;
use counts::check_counts;
use files::{check_files, check_structure};
pub(crate) use retokenize::{Retokenize, retokenize};
use values::check_values;

/// Something that is not as the manifest says, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Offence {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong, with its place in the file.
    pub(crate) what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// Why a check ended early: something differs, or the check itself failed.
#[derive(Debug)]
pub(crate) enum Ended {
    Differs(Offence),
    Failed(Failure),
}

impl Ended {
    /// Something about the file or folder `path` is not as recorded.
    fn at(path: &Path, what: impl fmt::Display) -> Self {
        Self::Differs(Offence { path: path.to_owned(), what: what.to_string() })
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How much was proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Files, their sizes together, and the ids in them.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) ids: u64,
    /// Artifacts that were read beside the one that was asked for, and whether one is missing.
    pub(crate) bases: u64,
    pub(crate) base_missing: bool,
}

/// Proves an artifact, then the artifact that it was made from where its rows read that, and so
/// on. Bases name each other by checksum, so they cannot go round.
pub(crate) fn prove(root: &Path, manifest: &Manifest) -> Result<Proof, Ended> {
    let mut proof = Proof::default();
    let (mut root, mut manifest) = (root.to_owned(), manifest.clone());
    loop {
        proof.bytes += check_files(&root, &manifest)?;
        check_structure(&root, &manifest)?;
        check_counts(&root, &manifest)?;
        proof.ids += check_values(&root, &manifest)?;
        proof.files += manifest.files().len() as u64;
        match base_of(&root, &manifest)? {
            Base::None => return Ok(proof),
            Base::Missing => return Ok(Proof { base_missing: true, ..proof }),
            Base::There(folder, base) => (root, manifest) = (folder, *base),
        }
        proof.bases += 1;
    }
}

//! Proves that an artifact is what its manifest says.
//!
//! The work is cut into units: a file, an index, a stretch of ids, a document. A [`Share`] has every
//! N-th of them, and looks at its own in their order; a [`Finding`] carries its unit's place, so that
//! the first offence of all shares is the one that a whole check meets first.
//!
//! [`Share`]: ratdata_tokenize::Share

mod files;
mod portions;
mod retokenize;
mod values;

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::Manifest;
use serde::{Deserialize, Serialize};

pub(crate) use files::{check_files, check_structure};
pub(crate) use portions::{Portion, Portions};
pub(crate) use retokenize::{Ended, Retokenize, retokenize};
pub(crate) use values::check_values;

/// Something that is not as the manifest says, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offence {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is wrong, with its place in the file.
    pub(crate) what: String,
}

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    Files,
    Structure,
    Values,
    Documents,
}

/// Returns how many units the larger of the checks of an artifact's own files has.
pub(crate) fn units(manifest: &Manifest) -> usize {
    manifest.files().len().max(values::units(manifest))
}

/// An offence and the place of its unit in the whole of the work; the first is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    check: Check,
    unit: Vec<u64>,
    pub(crate) offence: Offence,
}

impl Offence {
    /// Says in which unit of which check it was found.
    fn at(self, check: Check, unit: &[usize]) -> Finding {
        let unit = unit.iter().map(|&number| number as u64).collect();
        Finding { check, unit, offence: self }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

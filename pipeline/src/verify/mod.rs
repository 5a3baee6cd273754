//! Proves that an artifact is what its manifest says.

mod files;
mod retokenize;
mod values;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub(crate) use files::{check_files, check_structure};
pub(crate) use retokenize::{Ended, Retokenize, retokenize};
pub(crate) use values::check_values;

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

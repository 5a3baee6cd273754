//! A file that an input names, before it is looked at.

use std::path::PathBuf;

use super::sift::{Found, Sifted};

/// A file and the name that it has by the input it was found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FoundFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Returns the files that are taken.
pub(super) fn placed(sifted: Sifted<PathBuf>) -> Found<FoundFile> {
    let left = sifted.left();
    let file = |(name, path)| FoundFile { name, path };
    Found { files: sifted.taken.into_iter().map(file).collect(), left }
}

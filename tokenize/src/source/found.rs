//! A file that an input names, before it is looked at.

use std::path::PathBuf;

use ratdata_schemas::recipe::SplitFiles;

use super::sift::{Found, Sifted};
use super::split_names::SplitName;
use super::tar::Members;

/// A file and the name that it has by the input it was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Which members of it are read, where it is an archive.
    pub(crate) members: Members,
}

impl FoundFile {
    /// A file of an input of which the splits `take` are read.
    ///
    /// An archive may hold a split whose name only a member says: it is refused, unless the archive's own name says
    /// that it is held out, so that the user has asked for it.
    pub(crate) fn new(name: String, path: PathBuf, take: SplitFiles) -> Self {
        let is_held_out = SplitName::of(&name).is_some_and(SplitName::is_held_out);
        let members = match take {
            SplitFiles::Train if !is_held_out => Members::Train,
            _ => Members::All,
        };
        Self { name, path, members }
    }
}

/// Returns the files that are taken.
pub(super) fn placed(sifted: Sifted<PathBuf>, take: SplitFiles) -> Found<FoundFile> {
    let left = sifted.left();
    let file = |(name, path)| FoundFile::new(name, path, take);
    Found { files: sifted.taken.into_iter().map(file).collect(), left }
}

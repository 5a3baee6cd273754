//! A file of an artifact, as its manifest records it, and the one way to open it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact_error::ArtifactError;
use crate::bin_error::BinError;
use crate::checksum::Checksum;
use crate::mmap::MappedFile;
use crate::relative_path::RelativePath;
use crate::removal::remove_file_if_exists;

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Where it lies, relative to the artifact folder, with `/` between names.
    pub path: RelativePath,
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub blake3: Checksum,
}

impl FileRecord {
    /// Describes a file of the artifact in the folder `root` that has its name already, unless `stop`
    /// is set while it is read.
    ///
    /// # Errors
    ///
    /// It cannot be read, lies elsewhere, or at a path that is not UTF-8; or `stop` was set, which is
    /// [`io::ErrorKind::Interrupted`].
    pub fn of_file(root: &Path, path: &Path, stop: &AtomicBool) -> Result<Self, ArtifactError> {
        let bytes = path.metadata().map_err(ArtifactError::io(path))?.len();
        let blake3 = Checksum::of_file(path, stop).map_err(ArtifactError::io(path))?;
        Ok(Self { path: Self::relative(root, path)?, bytes, blake3 })
    }

    /// Returns the path of a file as a manifest in the folder `root` says it.
    pub(crate) fn relative(root: &Path, path: &Path) -> Result<RelativePath, ArtifactError> {
        RelativePath::of(path.strip_prefix(root).unwrap_or(path)).map_err(|wrong| {
            let source = io::Error::new(io::ErrorKind::InvalidFilename, wrong);
            ArtifactError::Io { path: path.to_owned(), source }
        })
    }

    /// Returns the place of the file when the artifact is the folder `root`: where it is written
    /// and removed. Who reads it asks [`FileRecord::resolve`].
    pub fn place(&self, root: &Path) -> PathBuf {
        self.path.below(root)
    }

    /// Returns where the file is read when the artifact is the folder `root`.
    ///
    /// What is not there is told by who opens it.
    ///
    /// # Errors
    ///
    /// A link leads out of the folder.
    pub fn resolve(&self, root: &Path) -> Result<PathBuf, BinError> {
        let path = self.place(root);
        match (path.canonicalize(), root.canonicalize()) {
            (Ok(real), Ok(folder)) if !real.starts_with(&folder) => {
                Err(BinError::Outside { path, real })
            }
            _ => Ok(path),
        }
    }

    /// Maps the file, which has the recorded size, and `expected` bytes by the manifest's counts.
    ///
    /// # Errors
    ///
    /// It cannot be read, a link leads out of the folder, or it has another size.
    pub fn map(&self, root: &Path, expected: u64) -> Result<MappedFile, BinError> {
        let path = self.resolve(root)?;
        let file = MappedFile::open(&path)
            .map_err(|source| BinError::Io { path: path.clone(), source })?;
        let found = file.bytes().len() as u64;
        match [self.bytes, expected].into_iter().find(|&bytes| bytes != found) {
            Some(expected) => Err(BinError::Size { path, found, expected }),
            None => Ok(file),
        }
    }

    /// Removes the file where it is there; a link is removed, and not what it leads to.
    ///
    /// # Errors
    ///
    /// The system refuses, or the folder that it lies in is a link out of `root`.
    pub fn remove(&self, root: &Path) -> Result<(), ArtifactError> {
        let path = self.place(root);
        let folder = path.parent().unwrap_or(root);
        if let (Ok(real), Ok(root)) = (folder.canonicalize(), root.canonicalize())
            && !real.starts_with(&root)
        {
            return Err(ArtifactError::Outside { path, real });
        }
        remove_file_if_exists(&path)
    }

    /// Returns whether the file is there, below `root`, with the size that was recorded.
    pub fn is_whole(&self, root: &Path) -> bool {
        let there = self.resolve(root).ok().and_then(|path| path.metadata().ok());
        there.is_some_and(|metadata| metadata.len() == self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn record(path: &str, bytes: u64) -> FileRecord {
        let path = RelativePath::new(path).unwrap();
        FileRecord { path, bytes, blake3: Checksum::of(b"") }
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused_and_one_within_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("artifact");
        fs::create_dir(&root).unwrap();
        for path in [folder.path().join("out.bin"), root.join("in.bin")] {
            fs::File::create(path).unwrap().set_len(4).unwrap();
        }
        symlink("../out.bin", root.join("a.bin")).unwrap();
        symlink("in.bin", root.join("b.bin")).unwrap();
        symlink("..", root.join("up")).unwrap();

        for path in ["a.bin", "up/out.bin"] {
            let refused = record(path, 4).map(&root, 4).unwrap_err();

            assert!(matches!(refused, BinError::Outside { .. }), "{refused}");
            assert!(!record(path, 4).is_whole(&root));
        }
        assert_eq!(record("b.bin", 4).map(&root, 4).unwrap().bytes().len(), 4);
        assert!(record("b.bin", 4).is_whole(&root));
    }

    #[test]
    fn nothing_outside_of_the_folder_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("artifact");
        fs::create_dir(&root).unwrap();
        let outside = folder.path().join("out.bin");
        fs::File::create(&outside).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(&outside, root.join("a.bin")).unwrap();

        let refused = record("up/out.bin", 0).remove(&root).unwrap_err();
        record("a.bin", 0).remove(&root).unwrap();
        record("gone.bin", 0).remove(&root).unwrap();

        assert!(matches!(refused, ArtifactError::Outside { .. }), "{refused}");
        assert!(outside.exists() && !root.join("a.bin").exists());
    }

    #[test]
    fn a_file_of_another_size_is_told_with_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        fs::File::create(folder.path().join("x.bin")).unwrap().set_len(3).unwrap();

        let cut = record("x.bin", 4).map(folder.path(), 4).unwrap_err();
        let other = record("x.bin", 3).map(folder.path(), 6).unwrap_err();

        assert!(cut.to_string().ends_with("x.bin: 3 bytes on disk, 4 recorded"), "{cut}");
        assert!(other.to_string().ends_with("3 bytes on disk, 6 recorded"), "{other}");
    }
}

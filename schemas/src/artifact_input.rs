//! The files of an artifact that another one is made from, checked against its manifest.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use crate::bin_error::BinError;
use crate::checksum::Checksum;
use crate::file_record::FileRecord;
use crate::identity::{FileState, Identity};
use crate::known::{Known, TOUCHED};

/// Why an artifact's files cannot be relied on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArtifactInputError {
    /// A record's path leads out of the artifact.
    #[error(transparent)]
    Bin(#[from] BinError),
    /// A file cannot be read.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what the manifest says.
    #[error("{}: not what its manifest records: {what}", .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs, found and expected.
        what: String,
    },
    /// A file was changed between two looks at it.
    #[error("{}: {}", .path.display(), TOUCHED)]
    Touched {
        /// The file.
        path: PathBuf,
    },
}

impl ArtifactInputError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bin(wrong) => wrong.hint(),
            Self::Mismatch { .. } => Some(
                "the file was changed after it was written: `ratdata verify` looks at all of them; make the artifact again",
            ),
            Self::Touched { .. } => {
                Some("let what writes it end, then give the same command again")
            }
            Self::Io { .. } => None,
        }
    }

    /// Returns whether the user stopped the reading.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }
}

/// A file of an artifact, as it was at one moment.
#[derive(Clone, Debug)]
pub struct ArtifactInput {
    path: PathBuf,
    state: FileState,
    bytes: u64,
    blake3: Checksum,
}

impl ArtifactInput {
    /// Looks at a file of the artifact at `root`, without reading it.
    ///
    /// # Errors
    ///
    /// The record's path leads out of the artifact, or the file cannot be opened.
    pub fn of(root: &Path, record: &FileRecord) -> Result<Self, ArtifactInputError> {
        let path = record.resolve(root)?;
        let state = FileState::of(&path).map_err(io_error(&path))?;
        Ok(Self { path, state, bytes: record.bytes, blake3: record.blake3.clone() })
    }

    /// Checks that the content that was seen is the recorded one; a file that is not known is read
    /// whole.
    ///
    /// # Errors
    ///
    /// It is another, cannot be read or was touched since; or `stop` was set.
    pub fn check(&self, known: &Known, stop: &AtomicBool) -> Result<(), ArtifactInputError> {
        let mismatch =
            |what: String| ArtifactInputError::Mismatch { path: self.path.clone(), what };
        let bytes = self.state.identity.bytes();
        if bytes != self.bytes {
            return Err(mismatch(format!("{bytes} bytes, expected {}", self.bytes)));
        }
        let checksum = known.checksum(&self.path, &self.state, stop);
        let checksum = checksum.map_err(io_error(&self.path))?;
        if checksum != self.blake3 {
            return Err(mismatch(format!("BLAKE3 {checksum}, expected {}", self.blake3)));
        }
        if Identity::of(&self.path).map_err(io_error(&self.path))? != self.state.identity {
            return Err(ArtifactInputError::Touched { path: self.path.clone() });
        }
        Ok(())
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> ArtifactInputError + '_ {
    |source| {
        let path = path.to_owned();
        let touched = source.kind() == io::ErrorKind::Other && source.to_string() == TOUCHED;
        if touched {
            ArtifactInputError::Touched { path }
        } else {
            ArtifactInputError::Io { path, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    static NO_STOP: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_file_is_compared_with_its_record_and_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let put = |text: &[u8]| {
            File::create(folder.path().join("x")).unwrap().write_all(text).unwrap();
        };
        let record = FileRecord {
            path: crate::RelativePath::new("x").unwrap(),
            bytes: 3,
            blake3: Checksum::of(b"one"),
        };
        let known = Known::default();
        let ask = || ArtifactInput::of(folder.path(), &record)?.check(&known, &NO_STOP);
        put(b"one");

        ask().unwrap();
        ask().unwrap();
        assert_eq!(known.reads(), 1);

        put(b"two");
        let refused = ask().unwrap_err();
        assert!(matches!(refused, ArtifactInputError::Mismatch { .. }), "{refused}");
        put(b"three");
        assert!(ask().unwrap_err().to_string().ends_with("5 bytes, expected 3"));
    }

    #[test]
    fn a_file_that_is_touched_under_a_reader_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        File::create(&path).unwrap().write_all(b"one").unwrap();
        let record = FileRecord {
            path: crate::RelativePath::new("x").unwrap(),
            bytes: 3,
            blake3: Checksum::of(b"one"),
        };
        let held = ArtifactInput::of(folder.path(), &record).unwrap();

        File::create(&path).unwrap().write_all(b"one").unwrap();

        let refused = held.check(&Known::default(), &NO_STOP).unwrap_err();
        assert!(matches!(refused, ArtifactInputError::Touched { .. }), "{refused}");
    }
}

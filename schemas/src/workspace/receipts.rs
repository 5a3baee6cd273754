//! Receipts: small files that say which parts of a job are done, so that a later run continues.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::StagedFile;
use crate::artifact_error::ArtifactError;
use crate::removal::{remove_file_if_exists, remove_folder_if_exists};

/// The folder, within an output folder, of a job that is not finished.
pub const JOB_FOLDER: &str = ".job";

/// The ending of a receipt.
const ENDING: &str = ".json";

/// Receipts of one kind, each in a file of its own.
///
/// A receipt appears whole or not at all. One that does not parse was not written by this version, so
/// it counts for nothing and its part is made again.
#[derive(Clone, Debug)]
pub struct Receipts {
    folder: PathBuf,
}

impl Receipts {
    /// The folder of the receipts of parts that are done, as the last names of its path.
    pub const DONE: &str = ".job/done";

    /// The receipts of the parts that are done of the job in `out`.
    pub fn of(out: &Path) -> Self {
        Self { folder: out.join(Self::DONE) }
    }

    /// The receipts of another kind, by the name of their folder.
    pub fn called(out: &Path, name: &str) -> Self {
        Self { folder: out.join(JOB_FOLDER).join(name) }
    }

    /// Returns the place of a receipt.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    /// Writes a receipt, in the place of an earlier one of this name.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn record<T: Serialize>(&self, name: &str, receipt: &T) -> Result<(), ArtifactError> {
        write_json(&self.path(name), receipt)
    }

    /// Reads a receipt; none if it is missing or of another version.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ArtifactError> {
        read_json(&self.path(name))
    }

    /// Returns the names of all receipts, in their order.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ArtifactError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(ArtifactError::io(&self.folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(ArtifactError::io(&self.folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(ENDING).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Removes a receipt, so that its part is made again.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn forget(&self, name: &str) -> Result<(), ArtifactError> {
        remove_file_if_exists(&self.path(name))
    }

    /// Removes all receipts of this kind.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn forget_all(&self) -> Result<(), ArtifactError> {
        remove_folder_if_exists(&self.folder)
    }
}

/// Writes a value as a JSON file, which appears whole.
///
/// # Errors
///
/// The system refuses.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
    let mut file = StagedFile::create(path)?;
    file.write_json(value)?;
    file.commit().map(drop)
}

/// Writes bytes as a file, which appears whole.
///
/// # Errors
///
/// The system refuses.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ArtifactError> {
    let mut file = StagedFile::create(path)?;
    file.write(bytes)?;
    file.commit().map(drop)
}

/// Reads a JSON file of ours; none if it is missing or does not parse.
///
/// # Errors
///
/// It cannot be read.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ArtifactError> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ArtifactError::io(path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_until_it_is_forgotten_and_another_version_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = Receipts::of(folder.path());
        assert_eq!(receipts.names().unwrap(), [""; 0]);

        receipts.record("b", &2).unwrap();
        receipts.record("a", &"one").unwrap();

        assert_eq!(receipts.names().unwrap(), ["a", "b"]);
        assert_eq!(receipts.read::<u32>("b").unwrap(), Some(2));
        assert_eq!(receipts.read::<u32>("a").unwrap(), None);
        receipts.forget("b").unwrap();
        assert_eq!(receipts.read::<u32>("b").unwrap(), None);
        receipts.forget_all().unwrap();
        assert_eq!(receipts.names().unwrap(), [""; 0]);
    }
}

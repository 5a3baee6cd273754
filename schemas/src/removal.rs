//! Removes files and folders that may not be there.

use std::fs;
use std::io;
use std::path::Path;

use crate::artifact_error::ArtifactError;

/// Removes a file, if it exists. A link is removed, and not its target.
///
/// # Errors
///
/// The system refuses.
pub fn remove_file_if_exists(path: &Path) -> Result<(), ArtifactError> {
    unless_missing(path, fs::remove_file(path))
}

/// Removes a folder and everything in it, if it exists.
///
/// # Errors
///
/// The system refuses.
pub fn remove_folder_if_exists(path: &Path) -> Result<(), ArtifactError> {
    unless_missing(path, fs::remove_dir_all(path))
}

/// Removes a folder, if it exists and is empty.
///
/// # Errors
///
/// The system refuses.
pub fn remove_folder_if_empty(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_dir(path) {
        Err(source) if source.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => unless_missing(path, removed),
    }
}

fn unless_missing(path: &Path, removed: io::Result<()>) -> Result<(), ArtifactError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ArtifactError::io(path)(source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_no_error_and_a_full_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (full, file) = (folder.path().join("full"), folder.path().join("full/file"));
        fs::create_dir(&full).unwrap();
        fs::File::create(&file).unwrap();

        remove_folder_if_empty(&full).unwrap();
        assert!(file.exists());
        remove_file_if_exists(&file).unwrap();
        remove_file_if_exists(&file).unwrap();
        remove_folder_if_empty(&full).unwrap();
        remove_folder_if_empty(&full).unwrap();
        remove_folder_if_exists(&full).unwrap();
        assert!(!full.exists());
    }

    #[test]
    fn a_refusal_names_the_path() {
        let folder = tempfile::tempdir().unwrap();

        let refused = remove_file_if_exists(folder.path()).unwrap_err();

        assert!(refused.to_string().contains(&folder.path().display().to_string()), "{refused}");
    }
}

//! Joins what the tasks of an array made into the folder in which the result is made.
//!
//! Each share was made in a folder of its own, by the command that makes the result. What such a
//! command has done it records by receipts in `.job/done`, wherever in its folder that lies; so
//! files are moved first and receipts after them, and the command that makes the result finds both
//! and does what is missing. This is all that the executor knows of shares, whatever their kind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::{DirLock, Receipts, StagedFile, sync_folder_of};

use super::error::TaskError;
use crate::store::{DONE, Store, share_lock};

/// Moves what the shares hold into the staging folder.
///
/// Skips a share that another process makes at this moment. A gathering that was stopped continues:
/// files that were moved are not moved twice.
///
/// # Errors
///
/// The store cannot be read or written.
pub(crate) fn gather(store: &Store, object: &str, staging: &Path) -> Result<(), TaskError> {
    let shares = store.shares(object);
    for folder in entries(&shares)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name == DONE || !folder.is_dir() {
            continue;
        }
        let lock =
            store.try_lock(&share_lock(object, &name)).map_err(TaskError::io(store.root()))?;
        if lock.is_none() && !shares.join(DONE).join(&*name).exists() {
            continue;
        }
        let mut files = Vec::new();
        below(&folder, &mut files)?;
        let (receipts, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|path| path.parent().is_some_and(is_receipts));
        move_files(&others, &folder, staging)?;
        move_files(&receipts, &folder, staging)?;
        drop(lock); // held until the share was moved
    }
    Ok(())
}

/// Moves files from one folder to the same places in another, and makes that durable.
fn move_files(files: &[PathBuf], from: &Path, to: &Path) -> Result<(), TaskError> {
    let mut targets = BTreeSet::new();
    for path in files {
        let target = to.join(path.strip_prefix(from).unwrap_or(path));
        let parent = target.parent().unwrap_or(to).to_owned();
        if !targets.contains(&parent) {
            fs::create_dir_all(&parent).map_err(TaskError::io(&parent))?;
        }
        fs::rename(path, &target).map_err(TaskError::io(&target))?;
        targets.insert(parent);
    }
    for folder in targets {
        sync_folder_of(&folder.join("."))?;
    }
    Ok(())
}

/// Returns whether a folder holds receipts.
fn is_receipts(folder: &Path) -> bool {
    folder.ends_with(Receipts::DONE)
}

/// Gathers the files below a folder that are whole, in the order of their names.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), TaskError> {
    for path in entries(folder)? {
        let partial = path.extension().is_some_and(|ending| ending == StagedFile::ENDING);
        let lock = path.file_name().is_some_and(|name| name == DirLock::FILE);
        if path.is_dir() {
            below(&path, files)?;
        } else if !partial && !lock {
            files.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let entries = fs::read_dir(folder).map_err(TaskError::io(folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(TaskError::io(folder))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = StagedFile::create(path).unwrap();
        file.write(b"x").unwrap();
        file.commit().unwrap();
    }

    #[test]
    fn whole_files_of_all_shares_are_joined_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let (shares, staging) = (store.shares("x"), folder.path().join("staging"));
        for name in [
            "done/0-of-2",
            "0-of-2/.ratdata-lock",
            "0-of-2/tokens/.job/done/a.json",
            "0-of-2/tokens/.job/portions/a.rows",
            "1-of-2/tokens/.job/done/b.json",
            "1-of-2/tokens/.job/portions/b.rows",
            "1-of-2/tokens/.job/portions/c.rows.partial",
        ] {
            write(&shares.join(name));
        }

        gather(&store, "x", &staging).unwrap();
        gather(&store, "x", &staging).unwrap();

        let mut found = Vec::new();
        below(&staging, &mut found).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(&staging).unwrap()).collect();
        let expected = ["done/a.json", "done/b.json", "portions/a.rows", "portions/b.rows"];
        assert_eq!(names, expected.map(|name| Path::new("tokens/.job").join(name)));
        assert!(shares.join("1-of-2/tokens/.job/portions/c.rows.partial").exists());
    }
}

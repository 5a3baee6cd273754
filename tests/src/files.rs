//! The files of a test: writing them, and every byte that a run left.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ratdata_schemas::DirLock;

/// Writes a file, and the folders above it.
///
/// # Panics
///
/// The system refuses.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder is made");
    let mut file = fs::File::create(path).expect("a file is made");
    file.write_all(content.as_ref()).expect("a file is written");
}

/// Returns every file below a folder without its lock, by its name, with its content.
///
/// # Panics
///
/// A file cannot be read.
pub fn content(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // A run that was killed at once has made no folder yet.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder is read").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(DirLock::FILE) {
                let name = path.strip_prefix(root).expect("it is below the root").to_owned();
                files.insert(name, fs::read(&path).expect("a file is read"));
            }
        }
    }
    files
}

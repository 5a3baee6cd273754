//! The state of all files that a check reads: the result of a share is valid while it stays the same.

use std::path::{Path, PathBuf};

use ratdata_schemas::{Checksum, FileState, Manifest};
use ratdata_tokenize::source::find_inputs;
use serde_json::json;

/// Returns a checksum of the state of all files that a check reads; `None` if a file was changed so
/// recently that another change might not show.
///
/// These are the files of the artifact and of its bases, the sources, and the tokenizer. Files that
/// cannot be read are ignored here; the check itself reports them.
pub(crate) fn state_of(
    root: &Path,
    manifest: &Manifest,
    inputs: &[String],
    tokenizer: Option<&str>,
) -> Option<Checksum> {
    let mut paths = Vec::new();
    let (mut folder, mut artifact) = (root.to_owned(), Some(manifest.clone()));
    while let Some(manifest) = artifact {
        paths.extend(manifest.files().into_iter().filter_map(|file| file.resolve(&folder).ok()));
        artifact = None;
        if let Some(base) = &manifest.base {
            folder = folder.join(&base.path);
            // Bases name each other by checksum, so they cannot form a circle.
            artifact = Manifest::read(&folder).ok();
        }
    }
    for input in inputs.iter().filter(|input| !input.contains("://")) {
        let found = find_inputs(std::slice::from_ref(input)).unwrap_or_default();
        paths.extend(found.iter().flat_map(|file| file.paths().to_owned()));
    }
    if let Some(path) = tokenizer.map(Path::new).filter(|path| path.exists()) {
        paths.extend(files_in(path));
    }
    let mut states = Vec::with_capacity(paths.len());
    for path in paths {
        let state = FileState::of(&path).ok();
        if state.is_some_and(|state| !state.certain) {
            return None;
        }
        states.push(json!([path.to_string_lossy(), state.map(|state| state.identity)]));
    }
    Some(Checksum::of_value(&json!(states)))
}

/// Returns a file, or the files in a folder.
fn files_in(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

//! What the tests share: the program, its sample, and a hand that changes files.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_tests::program::write_sample_with_bins;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with the sample in it: `demo/tokens` and, next to it, its tokenizer.
pub(crate) fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample_with_bins(folder.path());
    folder
}

pub(crate) fn first_bin(folder: &Path) -> PathBuf {
    folder.join("demo/tokens/shards/demo-train-000_00000.bin")
}

/// Changes a file in place.
pub(crate) fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    use std::io::Write;
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::File::create(path).unwrap().write_all(&bytes).unwrap();
}

/// Changes the manifest of an artifact.
pub(crate) fn mend(root: &Path, how: impl FnOnce(&mut Value)) {
    change(&root.join("manifest.json"), |bytes| {
        let mut manifest: Value = serde_json::from_slice(bytes).unwrap();
        how(&mut manifest);
        *bytes = serde_json::to_vec(&manifest).unwrap();
    });
}

//! What the tests share: the program, its sample, and a hand that changes files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn ratdata(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"))
        .output()
        .unwrap()
}

pub(crate) fn json(arguments: &[&str], folder: &Path) -> Value {
    let output = ratdata(&[arguments, &["--json"]].concat(), folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with the sample in it: `demo/tokens` and, next to it, its tokenizer.
pub(crate) fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["sample", "--out", "demo", "--quiet"][..],
        &[
            "tokenize",
            "--tokenizer",
            "demo/tokenizer",
            "--input",
            "demo/corpus",
            "--name",
            "demo",
            "--quiet",
            "--out",
            "demo/tokens",
        ],
    ] {
        let made = ratdata(arguments, folder.path());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
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

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Changes the manifest of an artifact.
pub(crate) fn mend(root: &Path, how: impl FnOnce(&mut Value)) {
    change(&root.join("manifest.json"), |bytes| {
        let mut manifest: Value = serde_json::from_slice(bytes).unwrap();
        how(&mut manifest);
        *bytes = serde_json::to_vec(&manifest).unwrap();
    });
}

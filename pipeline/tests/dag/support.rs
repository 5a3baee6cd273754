//! What all tests of pipelines use: a workshop, the program, and its results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::{RunEvent, RunEventKind};
use ratdata_tests::files::write;
use ratdata_tests::program::succeed;
use tempfile::TempDir;

/// Everything that the tests' pipelines take: the sample, in the folder of `pipeline.toml`.
pub(crate) fn workshop(pipeline: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["sample", "--out", "sample", "--quiet"]);
    write(&folder.path().join("pipeline.toml"), pipeline);
    folder
}

/// Two branches over one tokenizer: bins with packed rows, and instruction rows.
pub(crate) const BRANCHES: &str = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "sample/tokenizer"
input = "sample/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128

[steps.questions]
kind = "sft"
task_file = "task.toml"
input = "sample/questions"
tokenizer = "sample/tokenizer"
max_length = 256

[steps.merged]
kind = "merge"
input = "@tokens"
"#;

pub(crate) fn events(text: &str) -> Vec<RunEventKind> {
    text.lines().map(|line| serde_json::from_str::<RunEvent>(line).unwrap().what).collect()
}

pub(crate) fn made(text: &str) -> Vec<String> {
    let mut made: Vec<String> = events(text)
        .into_iter()
        .filter_map(|event| match event {
            RunEventKind::StepFinished { step, .. } => Some(step),
            _ => None,
        })
        .collect();
    made.sort();
    made
}

/// The files of all results in a store, by their paths there.
pub(crate) fn results(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            !name.starts_with('.') && name != "runs"
        })
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files
                    .insert(path.strip_prefix(store).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

//! What the tests share: a folder laid out as a hub has its files, and runs of the program against a hub.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::small_hub::SmallHub;
use ratdata_tests::program::write_sample_with_bins;

/// A folder with the demo's corpus and tokenizer, laid out as a hub has them.
pub(crate) fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample_with_bins(root);
    fs::create_dir_all(root.join("hub/datasets/sample")).unwrap();
    fs::create_dir_all(root.join("hub/models")).unwrap();
    fs::rename(root.join("demo/corpus"), root.join("hub/datasets/sample/tiny")).unwrap();
    fs::copy(root.join("demo/tokenizer/tokenizer.json"), root.join("hub/models/tokenizer.json"))
        .unwrap();
    folder
}

pub(crate) fn tokenize(folder: &Path, hub: &SmallHub, environment: &[(&str, &str)]) -> Output {
    command(folder, hub).envs(environment.iter().copied()).output().unwrap()
}

pub(crate) fn command(folder: &Path, hub: &SmallHub) -> Command {
    into(folder, hub, "out")
}

pub(crate) fn into(folder: &Path, hub: &SmallHub, out: &str) -> Command {
    with_input(folder, hub, "hf://datasets/some/corpus/sample/tiny", out)
}

pub(crate) fn with_input(folder: &Path, hub: &SmallHub, input: &str, out: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
    command
        .args(["tokenize", "--tokenizer", "some/tokenizer", "--name", "demo", "--force"])
        .args(["--input", input, "--out", out])
        .current_dir(folder)
        .env("HF_ENDPOINT", &hub.address)
        .env("HF_HOME", folder.join("home"))
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_OFFLINE");
    command
}

/// The names of the files that the cache has of the dataset.
pub(crate) fn cached(folder: &Path) -> Vec<String> {
    let cache = folder.join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    let mut names: Vec<String> = fs::read_dir(cache)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

//! The program under test: how a suite runs it in a folder, and what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The tokenizer of the sample that [`write_sample`] makes.
pub const SAMPLE_TOKENIZER: &str = "demo/tokenizer";

/// Returns the path of the `ratdata` program that cargo built together with the running test.
///
/// # Panics
///
/// The test was not started from cargo's target folder.
pub fn path() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.ancestors().nth(2).expect("a test is in `deps` of its profile's folder");
    profile.join(format!("ratdata{}", std::env::consts::EXE_SUFFIX))
}

/// Returns whether cargo has built the trainer next to the program, as it does for the whole workspace.
///
/// # Panics
///
/// Those of [`path`].
pub fn has_trainer() -> bool {
    path().with_file_name("ratdata-train").is_file()
}

/// Returns the command that runs the program in a folder, with no network and with a cache of the
/// hub of its own.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"));
    command
}

/// Runs the program to its end.
///
/// # Panics
///
/// The program cannot be started.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("cargo built the program")
}

/// Runs the program, which must succeed, and returns what it printed on stdout.
///
/// # Panics
///
/// The program fails, or prints what is not UTF-8.
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

/// Runs the program with `--json`; it must succeed. Returns the value that it printed.
///
/// # Panics
///
/// The program fails, or prints no JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    let text = succeed(folder, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("the program prints one JSON value")
}

/// Starts the program, whose output nobody reads.
///
/// # Panics
///
/// The program cannot be started.
pub fn spawn(folder: &Path, arguments: &[&str]) -> std::process::Child {
    let mut command = command(folder, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cargo built the program")
}

/// Returns what a run wrote to stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes the program's sample to `demo` in a folder: a corpus, questions and a tokenizer.
///
/// # Panics
///
/// The program fails.
pub fn write_sample(folder: &Path) {
    succeed(folder, &["sample", "--out", "demo", "--quiet"]);
}

/// Writes the sample to `demo` in a folder, and its token bins to `demo/tokens`.
///
/// # Panics
///
/// The program fails.
pub fn write_sample_with_bins(folder: &Path) {
    write_sample(folder);
    let inputs = ["tokenize", "--tokenizer", SAMPLE_TOKENIZER, "--input", "demo/corpus"];
    let outputs = ["--name", "demo", "--quiet", "--out", "demo/tokens"];
    succeed(folder, &[&inputs[..], &outputs].concat());
}

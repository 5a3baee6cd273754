//! `ratdata train` is the trainer: its output, its exit status, its signals.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]
#![expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

fn ratdata(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env_remove("CARGO")
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap()
}

/// One test at a time: a program that was just copied cannot be run while another test's child,
/// forked meanwhile, still has it open for writing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ratdata"))
}

#[test]
fn a_missing_trainer_is_told_with_what_to_do() {
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("ratdata");
    std::fs::copy(own(), &alone).unwrap();

    let output = ratdata(&alone, &["train", "tiny-rat"]);

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the trainer is not there"), "{stderr}");
    assert!(stderr.contains("cargo build --release -p ratdata-train"), "{stderr}");
}

/// The trainer's place is taken by a script, so that the test needs no trainer.
#[test]
fn arguments_output_and_status_are_passed_through() {
    use std::os::unix::fs::PermissionsExt;
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("ratdata");
    std::fs::copy(own(), &alone).unwrap();
    let trainer = folder.path().join("ratdata-train");
    std::fs::write(&trainer, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&trainer, std::fs::Permissions::from_mode(0o755)).unwrap();

    for (args, passed) in [
        (&["train", "tiny-rat", "--data", "d", "--set", "a=1"][..], "tiny-rat --data d --set a=1"),
        (&["train", "--data", "d", "--json"], "--data d --json"),
        (&["--json", "-q", "train", "x"], "x --json --quiet"),
        (&["train", "--json", "x"], "x --json"),
        (&["train", "--help"], "--help"),
        (&["train"], ""),
        (&["bench", "layer", "--width", "64"], "bench layer --width 64"),
        (&["--json", "bench", "model"], "bench model --json"),
    ] {
        let output = ratdata(&alone, args);

        assert_eq!(output.status.code(), Some(7), "{args:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), passed, "{args:?}");
    }
}

/// Cargo's place is taken by a script that fails, as a build without a C compiler does.
#[test]
fn the_demo_builds_the_trainer_and_does_not_wait_for_it_with_its_other_steps() {
    use std::os::unix::fs::PermissionsExt;
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let debug = folder.path().join("target/debug");
    std::fs::create_dir_all(&debug).unwrap();
    let alone = debug.join("ratdata");
    std::fs::copy(own(), &alone).unwrap();
    let cargo = folder.path().join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\necho \"$@\" >&2\nexit 101\n").unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();

    let output = Command::new(&alone)
        .args(["demo", "--out", "demo"])
        .current_dir(folder.path())
        .env("CARGO", &cargo)
        .env("CARGO_MANIFEST_DIR", folder.path())
        .output()
        .unwrap();

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("building the trainer, once: about"), "{stderr}");
    assert!(stderr.contains("building the trainer failed"), "{stderr}");
    assert!(stderr.contains("build -p ratdata-train --profile dev --target-dir"), "{stderr}");
    assert!(stderr.contains("--no-train"), "{stderr}");
    assert!(folder.path().join("demo/packed/manifest.json").is_file(), "{stderr}");
}

/// Returns the folder of both programs, or says why the test is skipped.
fn both() -> Option<&'static Path> {
    let there = own().with_file_name("ratdata-train").is_file();
    if !there {
        skipped("`ratdata-train` is not built; `cargo test --workspace` builds it");
    }
    there.then(own)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// From text to a model: bins, a pack of them and rows written out are all trained on, and the
/// demo ends with a model and its curve.
#[test]
fn whatever_the_pipeline_makes_is_trained_on() {
    let Some(program) = both() else { return };
    let _guard = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |args: &[&str]| {
        let output = ratdata(program, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (demo, tokens) = (at("demo"), at("demo/tokens"));
    let made: serde_json::Value =
        serde_json::from_str(&run(&["demo", "--out", &demo, "--quiet", "--json"])).unwrap();
    assert!(made["model"]["val_loss"].as_f64().unwrap() < 3.0, "{made}");
    assert!(Path::new(&at("demo/model/loss.svg")).is_file());
    let drawn: serde_json::Value = serde_json::from_str(&run(&[
        "trace",
        &at("demo/model"),
        "--iteration",
        "3",
        "--column",
        "5",
        "--json",
    ]))
    .unwrap();
    let drawn = drawn.as_array().unwrap();
    assert_eq!(drawn.len(), 8, "a batch of the experiment has eight sequences");
    for traced in drawn {
        let token = traced["token"].to_string();
        let again: serde_json::Value =
            serde_json::from_str(&run(&["trace", &tokens, "--token", &token, "--json"])).unwrap();
        assert_eq!(&again, traced);
    }
    let beyond = ratdata(program, &["trace", &at("demo/model"), "--iteration", "201"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert!(String::from_utf8(beyond.stderr).unwrap().contains("1 to 200"));
    let pack = ["pack", "--input", &tokens, "--seq-len", "64", "--quiet", "--out"];
    run(&[&pack[..], &[&at("pack"), "--align", "16"]].concat());
    run(&[&pack[..], &[&at("rows"), "--packing", "concat", "--materialize"]].concat());

    for data in ["pack", "rows"] {
        let out = at(&format!("run-of-{data}"));
        let sets = "model.vocab_size=1024 model.seq_len=64 training.iterations=60 \
                    training.validations=1";
        let sets: Vec<&str> = sets.split_whitespace().flat_map(|set| ["--set", set]).collect();
        let data = at(data);
        let args = ["train", "demo", "--data", &data, "--out", &out, "--json"];
        let result: serde_json::Value =
            serde_json::from_str(&run(&[&args[..], &sets].concat())).unwrap();

        let (train, val) = (&result["train_loss"], &result["val_loss"]);
        assert!(train.as_f64().unwrap() < 5.0, "{data}: {result}");
        assert!(val.as_f64().unwrap() < 5.0, "{data}: {result}");
    }
}

//! `ratdata train` is the trainer: its output, its exit status, its signals.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]
#![expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]

use std::path::Path;
use std::process::{Command, Output};

fn ratdata(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env_remove("CARGO")
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap()
}

fn own() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ratdata"))
}

#[test]
fn a_missing_trainer_is_told_with_what_to_do() {
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
    ] {
        let output = ratdata(&alone, args);

        assert_eq!(output.status.code(), Some(7), "{args:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), passed, "{args:?}");
    }
}

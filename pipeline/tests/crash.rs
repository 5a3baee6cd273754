//! A run that is killed, stopped or out of space continues and ends with the same bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ratdata_schemas::DirLock;
use ratdata_tests::files::content;
use ratdata_tests::program::write_sample;

fn command(folder: &Path, out: &str) -> Command {
    with_threads(folder, out, "2")
}

fn with_threads(folder: &Path, out: &str, threads: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
    command
        .args(["tokenize", "--tokenizer", "demo/tokenizer", "--input", "corpus", "--merge"])
        .args(["--num-proc", threads, "--quiet", "--out", out])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The demo's corpus, several times over, so that a run takes a while.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample(folder.path());
    fs::create_dir(folder.path().join("corpus")).unwrap();
    for copy in 0..4 {
        for file in 0..3 {
            let name = format!("000_{file:05}.parquet");
            let to = folder.path().join(format!("corpus/{copy}-{name}"));
            fs::copy(folder.path().join("demo/corpus").join(name), to).unwrap();
        }
    }
    folder
}

#[test]
fn a_run_killed_at_any_moment_continues_to_the_same_bytes() {
    let folder = workshop();
    assert!(command(folder.path(), "whole").status().unwrap().success());
    let whole = content(&folder.path().join("whole"));
    let mut kills = 0;

    for round in 0..12_u64 {
        let out = format!("killed-{round}");
        for attempt in 0_u64.. {
            let mut run = command(folder.path(), &out).spawn().unwrap();
            // Later and later, so that every phase of a run is met.
            std::thread::sleep(Duration::from_millis(7 + 11 * round + 23 * attempt));
            let ended = run.try_wait().unwrap();
            run.kill().unwrap();
            run.wait().unwrap();
            kills += u64::from(ended.is_none());
            if !folder.path().join(&out).join("manifest.json").exists() {
                let names: Vec<_> = content(&folder.path().join(&out)).into_keys().collect();
                assert!(!names.iter().any(|name| name.ends_with("manifest.json")));
            }
            if ended.is_some_and(|status| status.success()) {
                break;
            }
            assert!(attempt < 200, "a run makes progress, however often it is killed");
        }
        assert!(content(&folder.path().join(&out)) == whole, "round {round} has other bytes");
    }
    assert!(kills > 0, "no run was killed while it worked");
}

#[test]
fn ctrl_c_ends_with_status_130_and_the_next_run_continues() {
    let folder = workshop();
    let mut interrupted = false;
    for delay in [20, 30, 40, 60, 80, 100, 120] {
        let out = format!("out-{delay}");
        let mut run = command(folder.path(), &out).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let pid = run.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        interrupted |= run.wait().unwrap().code() == Some(130);

        assert!(command(folder.path(), &out).status().unwrap().success());
    }
    assert!(interrupted, "no run was interrupted while it worked");
}

#[test]
fn a_second_run_into_one_folder_is_refused() {
    let folder = workshop();
    let held = DirLock::take(&folder.path().join("out")).unwrap();

    let output = command(folder.path(), "out").stderr(Stdio::piped()).output().unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("another run is writing into this folder"), "{said}");
    drop(held);
}

#[test]
fn a_full_disk_is_told_and_the_next_run_continues() {
    let folder = workshop();
    // A limit on the size of files is a full disk to the program, and needs no disk of our own.
    let limited = format!(
        "ulimit -f 400; trap '' XFSZ; exec {} tokenize --tokenizer demo/tokenizer --input corpus --merge --quiet --out out",
        env!("CARGO_BIN_EXE_ratdata")
    );
    let output =
        Command::new("bash").args(["-c", &limited]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();

    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write") && said.contains("File too large"), "{said}");
    assert!(!folder.path().join("out/manifest.json").exists());
    assert!(command(folder.path(), "out").status().unwrap().success());
    assert!(command(folder.path(), "whole").status().unwrap().success());
    assert!(content(&folder.path().join("out")) == content(&folder.path().join("whole")));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = workshop();
    let mut seen = Vec::new();
    for threads in ["1", "2", "3", "7"] {
        let out = format!("t{threads}");
        assert!(with_threads(folder.path(), &out, threads).status().unwrap().success());
        seen.push(content(&folder.path().join(out)));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

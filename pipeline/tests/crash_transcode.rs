//! An export or import that is killed or out of space continues when the same command is given again,
//! ends with the same bytes, and touches nobody else's files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use ratdata_tests::files::content;
use ratdata_tests::program::{command, run, stderr, succeed, write_sample_with_bins};

/// The demo's artifact, with several shards.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample_with_bins(folder.path());
    folder
}

/// What is killed, and the option that names where it writes.
const JOBS: [&[&str]; 4] = [
    &["export", "demo/tokens", "--to", "npy", "--copy"],
    &["export", "demo/tokens", "--to", "olmo"],
    &["export", "demo/tokens", "--to", "jsonl", "--tokenizer", "demo/tokenizer"],
    &["import", "raw", "--from", "llmc", "--tokenizer", "demo/tokenizer"],
];

fn to<'a>(job: &[&'a str], out: &'a str) -> Vec<&'a str> {
    [job, &["--out", out]].concat()
}

#[test]
fn what_is_killed_at_any_moment_continues_to_the_same_bytes() {
    let folder = workshop();
    let root = folder.path();
    succeed(root, &["export", "demo/tokens", "--to", "llmc", "--out", "llmc"]);
    fs::rename(root.join("llmc/train"), root.join("raw")).unwrap();
    let mut kills = 0;
    for (number, job) in JOBS.iter().enumerate() {
        let whole = format!("whole-{number}");
        succeed(root, &to(job, &whole));
        let whole = content(&root.join(whole));
        let left = whole.keys().find(|name| name.starts_with(".job"));
        assert_eq!(left, None, "the note of the job is left");

        for round in 0..6_u64 {
            let out = format!("killed-{number}-{round}");
            for attempt in 0_u64.. {
                let mut job = command(root, &to(job, &out));
                let job = job.stdout(Stdio::null()).stderr(Stdio::piped());
                let mut running = job.spawn().unwrap();
                std::thread::sleep(Duration::from_millis(3 + 5 * round + 9 * attempt));
                let ended = running.try_wait().unwrap();
                running.kill().unwrap();
                let output = running.wait_with_output().unwrap();
                kills += u64::from(ended.is_none());
                if let Some(status) = ended {
                    assert!(status.success(), "{out}, attempt {attempt}: {}", stderr(&output));
                    break;
                }
                // Killed when all was done, between its last act and its end.
                let note = root.join(&out).join(".job");
                if !note.join("job.json").exists() && root.join(&out).exists() {
                    fs::remove_dir_all(&note).ok();
                    if content(&root.join(&out)) == whole {
                        break;
                    }
                }
                assert!(attempt < 200, "a run makes progress, however often it is killed");
            }
            assert!(content(&root.join(&out)) == whole, "{out} has other bytes");
        }
    }
    assert!(kills > 0, "no run was killed while it worked");
}

#[test]
fn a_full_disk_is_told_and_the_same_command_continues() {
    let folder = workshop();
    let root = folder.path();
    for (number, job) in JOBS[..3].iter().enumerate() {
        let (out, whole) = (format!("full-{number}"), format!("whole-{number}"));
        succeed(root, &to(job, &whole));
        // A limit on the size of files is a full disk to the program, and needs no disk of our own.
        let limited = "ulimit -f 200; trap '' XFSZ; exec \"$0\" \"$@\"";
        let output = Command::new("bash")
            .args(["-c", limited, env!("CARGO_BIN_EXE_ratdata")])
            .args(to(job, &out))
            .current_dir(root)
            .output()
            .unwrap();

        // What is linked needs no room.
        if !job.contains(&"olmo") {
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
        } else if !output.status.success() {
            assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
        }
        if !output.status.success() {
            succeed(root, &to(job, &out));
        }
        assert!(content(&root.join(&out)) == content(&root.join(&whole)), "{out}");
    }
}

#[test]
fn the_files_of_others_and_the_work_of_other_jobs_are_left_alone() {
    let folder = workshop();
    let root = folder.path();
    let bin = "demo/tokens/shards/demo-train-000_00000.bin";
    let export = ["export", "demo/tokens", "--to", "npy", "--out", "out"];
    let import = ["import", bin, "--from", "raw", "--eos", "2", "--out", "out"];
    let put = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(bytes).unwrap();
    };

    for (command, file) in [
        (&export[..], "out/train/demo-train-000_00000.npy"),
        (&import, "out/shards/imported-train-demo-train-000_00000.bin"),
    ] {
        put(file, b"theirs");

        let refused = run(root, command);

        assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("there is a file already"), "{}", stderr(&refused));
        assert_eq!(fs::read(root.join(file)).unwrap(), b"theirs");
        fs::remove_dir_all(root.join("out")).unwrap();

        // Half an export of another layout, and what `tokenize` has begun.
        for note in ["out/.job/files.jsonl", "out/.job/done/x.json"] {
            put("out/.job/job.json", br#"{"export": "olmo"}"#);
            put(note, br#"{"begun": "train/x.npy"}"#);
            let refused = run(root, command);
            let said = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{said}");
            assert!(said.contains("holds what another job has begun"), "{said}");
            fs::remove_dir_all(root.join("out")).unwrap();
        }
    }
    // And the other way round: what an export has begun is nothing to tokenize into.
    put("out/.job/job.json", br#"{"export": "olmo"}"#);
    let tokenize = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    let refused = run(root, &[&tokenize[..], &["--out", "out", "--quiet"]].concat());
    assert!(stderr(&refused).contains("holds another job's result"), "{}", stderr(&refused));
}

#[test]
fn an_import_that_is_there_is_done() {
    let folder = workshop();
    let root = folder.path();
    let bin = "demo/tokens/shards/demo-train-000_00000.bin";
    let import = ["import", bin, "--from", "raw", "--eos", "2", "--out", "out"];
    succeed(root, &import);
    let made = content(&root.join("out"));

    let again = run(root, &import);
    let other = run(root, &[&import[..], &["--split", "val"]].concat());

    assert!(
        again.status.success() && stderr(&again).contains("already done"),
        "{}",
        stderr(&again)
    );
    assert_eq!(other.status.code(), Some(1));
    let differs = "holds another job's result: recipe.split: \"train\" -> \"val\"";
    assert!(stderr(&other).contains(differs), "{}", stderr(&other));
    // What was lost of it is made again.
    let lost = root.join("out/shards/imported-train-demo-train-000_00000.bin");
    fs::remove_file(&lost).unwrap();
    succeed(root, &import);
    assert!(content(&root.join("out")) == made);
}

#[test]
fn nothing_is_written_where_what_is_read_lies() {
    let folder = workshop();
    let root = folder.path();
    std::os::unix::fs::symlink("demo/tokens", root.join("link")).unwrap();
    fs::create_dir(root.join("above")).unwrap();
    std::os::unix::fs::symlink("../demo/tokens", root.join("above/train")).unwrap();
    fs::create_dir(root.join("demo/tokens/sub")).unwrap();
    let before = content(&root.join("demo/tokens"));
    let outs = [
        "demo/tokens",
        "demo/tokens/",
        "demo/tokens/new",
        "demo/tokens/sub/..",
        "link",
        "link/x",
        "./demo/../demo/tokens",
        "above",
    ];
    let bin = "demo/tokens/shards/demo-train-000_00000.bin";
    for out in outs {
        let export = ["export", "demo/tokens", "--to", "npy", "--out", out, "--force"];
        let merge = ["merge", "--input", "demo/tokens", "--out", out, "--force"];
        let import = ["import", bin, "--from", "raw", "--eos", "2", "--out", out, "--force"];
        let commands = [&export[..], &merge, &import];
        // Only an export has a folder for each split, and only what is read is in the way.
        let some = if out == "above" {
            1
        } else if out.ends_with(['w', 'x']) {
            2
        } else {
            3
        };
        for command in &commands[..some] {
            let refused = run(root, command);

            let said = stderr(&refused);
            assert_eq!(refused.status.code(), Some(2), "{command:?}: {said}");
            assert!(said.contains("would touch"), "{command:?}: {said}");
        }
        assert!(content(&root.join("demo/tokens")) == before, "{out}");
    }
}

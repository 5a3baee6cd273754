//! `sft`, `pack` and `mix`, killed at random points: the next run ends with the same bytes.
//!
//! The points are drawn from a seed, which is printed; `RATDATA_SEED` gives it again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ratdata_tests::draws::Draws;
use ratdata_tests::files::{content, write};
use ratdata_tests::program::{self, succeed, write_sample};

/// How often each job starts from nothing.
const ROUNDS: u32 = 5;

/// Returns the command of a job whose output nobody reads.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program::command(folder, &[arguments, &["--quiet"]].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The demo's tokenizer and bins, and a task over many questions.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample(root);
    succeed(
        root,
        &["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus", "--out", "bins"],
    );
    let mut lines = Vec::new();
    for n in 0..6000_u32 {
        let story = "a story that many questions share ".repeat(20 + n as usize % 7 / 3 * 40);
        writeln!(lines, "{{\"s\": \"{story}\", \"q\": \"what is {n}?\", \"a\": \"it is {n}\"}}")
            .unwrap();
    }
    write(
        &root.join("preference.toml"),
        "prompt = \"{s}\"\n[preference]\nchosen = \"a\"\nrejected = \"q\"\n[splits.train]\nsource = \"data/x.jsonl\"\nshuffle = 7\n",
    );
    write(&root.join("data/x.jsonl"), &lines);
    let split = "source = \"data/x.jsonl\"\nanswers = [\"a\"]\nshuffle = 7\n";
    write(
        &root.join("task.toml"),
        format!(
            "prompt = \"{{s}}\\n\\nQ: {{q}}\\nA:\"\n[splits.train]\n{split}[splits.validation]\n{split}"
        ),
    );
    folder
}

/// Kills a job at random points of its time, until one attempt ends, and compares its files.
fn kill_often(arguments: &[&str]) {
    let folder = workshop();
    let root = folder.path();
    let job = |out: &str| command(root, &[arguments, &["--out", out]].concat());
    let begun = Instant::now();
    assert!(job("whole").status().unwrap().success());
    let time = begun.elapsed();
    let whole = content(&root.join("whole"));
    let mut draws = Draws::new();
    let mut kills = 0;

    for round in 0..ROUNDS {
        let out = format!("killed-{round}");
        for attempt in 0..3 {
            let mut run = job(&out).spawn().unwrap();
            std::thread::sleep(draws.within(time));
            let ended = run.try_wait().unwrap();
            run.kill().unwrap();
            run.wait().unwrap();
            kills += u32::from(ended.is_none());
            let made = content(&root.join(&out));
            if ended.is_none() && made.contains_key(Path::new("manifest.json")) {
                let named = fs::read_to_string(root.join(&out).join("manifest.json")).unwrap();
                assert!(named.ends_with('}') || named.ends_with("}\n"), "attempt {attempt}");
            }
        }
        assert!(job(&out).status().unwrap().success(), "round {round}");
        let found = content(&root.join(&out));
        let names: Vec<_> = found.keys().collect();
        assert!(
            found == whole,
            "RATDATA_SEED={}, round {round} has other bytes: {names:?}",
            draws.seed()
        );
    }
    assert!(kills > 0, "no run was killed while it worked");
}

const SFT: [&str; 7] =
    ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer", "--max-length", "128"];

#[test]
fn pairs_that_were_killed_end_with_the_same_bytes() {
    kill_often(&SFT);
}

#[test]
fn preference_pairs_that_were_killed_end_with_the_same_bytes() {
    let job = ["sft", "--task-file", "preference.toml", "--tokenizer", "demo/tokenizer"];
    kill_often(&[&job[..], &["--max-length", "128"]].concat());
}

#[test]
fn packed_instruction_rows_that_were_killed_end_with_the_same_bytes() {
    kill_often(&[&SFT[..], &["--packing", "best-fit", "--materialize"]].concat());
}

#[test]
fn a_pack_that_was_killed_ends_with_the_same_bytes() {
    kill_often(&["pack", "--input", "bins", "--seq-len", "64", "--seed", "3"]);
}

#[test]
fn rows_written_out_that_were_killed_end_with_the_same_bytes() {
    kill_often(&["pack", "--input", "bins", "--seq-len", "64", "--materialize"]);
}

#[test]
fn a_mix_that_was_killed_ends_with_the_same_bytes() {
    let takes = ["--take", "epochs=20", "--shard-tokens", "200000"];
    kill_often(&[&["mix", "--input", "bins"], &takes[..]].concat());
}

//! What the program says and how it ends: one clear error for each wrong input.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ratdata_tests::files::write;
use ratdata_tests::program::{run, write_sample};
use tempfile::TempDir;

/// A folder with the demo's corpus and tokenizer in it.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample(folder.path());
    folder
}

/// Runs `tokenize` on `input` with the demo's tokenizer and returns its status and stderr.
fn tokenize(folder: &Path, input: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec![
        "tokenize",
        "--tokenizer",
        "demo/tokenizer",
        "--input",
        input,
        "--out",
        "out",
        "--quiet",
    ];
    arguments.extend(more);
    let output = run(folder, &arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn each_wrong_input_is_told_in_one_error_with_a_hint() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("in/broken.jsonl"), b"{\"text\": \"a\"}\n\n{\"text\": \n");
    write(&root.join("in/other.jsonl"), b"{\"body\": \"a\", \"id\": 1}\n");
    write(&root.join("in/null.jsonl"), b"{\"text\": null}\n");
    write(&root.join("in/latin.jsonl"), b"{\"text\": \"a\"}\n{\"text\": \"\xe9\"}\n");
    write(&root.join("in/empty.jsonl"), b"");
    write(&root.join("in/noise.parquet"), b"PAR1 not really");
    write(&root.join("in/cut.jsonl.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75]);
    let whole = fs::read(root.join("demo/corpus/000_00000.parquet")).unwrap();
    write(&root.join("in/short.parquet"), &whole[..whole.len() / 2]);
    let mut damaged = whole.clone();
    damaged[200..4000].fill(0x55);
    write(&root.join("in/damaged.parquet"), &damaged);
    for (input, says) in [
        ("in/broken.jsonl", "in/broken.jsonl: line 3: the line is not a JSON object"),
        ("in/other.jsonl", "line 1: no field `text`; the fields are: body, id"),
        ("in/null.jsonl", "line 1: the text is null"),
        ("in/latin.jsonl", "line 2: the line is not UTF-8: byte 10 of it is wrong"),
        ("in/empty.jsonl", "in/empty.jsonl: the file is empty"),
        ("in/noise.parquet", "in/noise.parquet: damaged at its footer"),
        ("in/short.parquet", "in/short.parquet: damaged at its footer"),
        ("in/damaged.parquet", "in/damaged.parquet: damaged at row group 0"),
        ("in/cut.jsonl.gz", "in/cut.jsonl.gz: damaged at line 1"),
        ("in/missing.parquet", "`in/missing.parquet`: no input matched"),
        ("in/*.txt", "`in/*.txt`: no input matched"),
    ] {
        let (status, said) = tokenize(root, input, &[]);

        assert_eq!(status, Some(1), "{input}: {said}");
        assert!(said.starts_with("error: ") && said.contains(says), "{input}: {said}");
        assert!(said.contains("\nhint: "), "{input}: {said}");
        assert!(!root.join("out/manifest.json").exists(), "{input}");
        fs::remove_dir_all(root.join("out")).ok();
    }
    let (status, said) = tokenize(root, "demo/corpus", &["--text-column", "body"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no column `body`; the columns are: text, id, dump, url"), "{said}");
}

#[test]
fn the_demo_gives_the_recorded_bytes_on_any_day() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["demo", "--no-train", "--out", "demo", "--quiet"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let manifest = fs::read(folder.path().join("demo/tokens/manifest.json")).unwrap();

    // The manifest holds the checksum of every bin and index, and of the tokenizer.
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let bins: Vec<&str> = manifest["splits"]["train"]["shards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shard| &shard["bin"]["blake3"].as_str().unwrap()[..16])
        .collect();
    assert_eq!(bins, RECORDED);
}

/// The first digits of the demo's train bins; new only where the corpus or the trainer is.
const RECORDED: [&str; 3] = ["b06bc0d830f7de2f", "dae9cf5e72383665", "661739666d2200f8"];

#[test]
fn bad_rows_can_be_skipped_and_are_counted() {
    let folder = workshop();
    let root = folder.path();
    write(
        &root.join("in/x.jsonl"),
        b"{\"text\": \"a\"}\n{\"text\": null}\n{\"text\": 1}\n{\"text\": \"b\"}\n",
    );

    let (status, said) = tokenize(root, "in/x.jsonl", &["--on-bad-row", "skip"]);

    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("2 rows without text were left out"), "{said}");
    assert!(
        said.contains("line 2: the text is null")
            && said.contains("line 3: field `text` is no string"),
        "{said}"
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(root.join("out/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["sources"][0]["bad_rows"], 2);
    assert_eq!(manifest["sources"][0]["rows"], 4);
}

#[test]
fn a_wrong_command_line_is_status_two() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (&["tokenise"][..], "unrecognized subcommand 'tokenise'"),
        (&["tokenize", "--num-proc", "0"], "invalid value '0' for '--num-proc <N>'"),
        (&["tokenize", "--val-fraction", "2"], "found 2, expected a share from 0 to 1"),
        (&["tokenize", "--shard", "3/3"], "expected I/N with I below N"),
        (
            &["tokenize", "--tokenizer", "lama"],
            "`lama`: no such tokenizer, perhaps `llama`; expected a file, a folder, a hub id",
        ),
        (&["tokenize", "--tokenizer", "lama"], "or one of: llama, llama3"),
    ] {
        let output = run(folder.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();

        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn without_a_network_the_hub_says_how_to_work_offline() {
    let folder = tempfile::tempdir().unwrap();

    let output = run(folder.path(), &["tokenize"]);

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("HF_HUB_OFFLINE is set") && said.contains("give local paths"), "{said}");
}

#[test]
fn a_file_that_is_no_tokenizer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("t.json"), b"{\"model\": 3}");
    write(&folder.path().join("t.model"), b"\x7fELF");

    for name in ["t.json", "t.model"] {
        let output = run(folder.path(), &["tokenize", "--tokenizer", name, "--input", "x"]);
        let said = String::from_utf8(output.stderr).unwrap();

        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{name}: not a tokenizer")), "{said}");
    }
}

#[test]
fn another_jobs_folder_is_refused_with_the_difference() {
    let folder = workshop();
    let root = folder.path();
    assert_eq!(tokenize(root, "demo/corpus", &[]).0, Some(0));

    let (again, said) = tokenize(root, "demo/corpus", &[]);
    assert_eq!(again, Some(0), "{said}");
    let (other, said) = tokenize(root, "demo/corpus", &["--split-seed", "7"]);
    assert_eq!(other, Some(1));
    assert!(said.contains("config.split_seed: 1005 -> 7"), "{said}");
    let (forced, said) = tokenize(root, "demo/corpus", &["--split-seed", "7", "--force"]);
    assert_eq!(forced, Some(0), "{said}");
}

#[test]
fn the_estimate_is_within_two_per_cent_of_the_run() {
    let folder = workshop();
    let root = folder.path();
    let arguments = [
        "tokenize",
        "--tokenizer",
        "demo/tokenizer",
        "--input",
        "demo/corpus",
        "--out",
        "out",
        "--json",
    ];
    let estimated = run(root, &[&arguments[..], &["--estimate"]].concat());
    assert!(!root.join("out").exists(), "an estimate writes nothing");
    let run = run(root, &arguments);

    let tokens = |output: &Output| {
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["tokens"].as_f64().unwrap()
    };
    let share = tokens(&estimated) / tokens(&run);
    assert!((0.98..=1.02).contains(&share), "{share}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = workshop();
    let script = format!(
        "set -o pipefail; {} tokenize --tokenizer demo/tokenizer --input demo/corpus --out out -q | true",
        env!("CARGO_BIN_EXE_ratdata")
    );

    let status =
        Command::new("bash").args(["-c", &script]).current_dir(folder.path()).status().unwrap();

    assert!(status.success(), "{status}");
}

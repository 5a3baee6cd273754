//! What commands print and how they end, to the letter: stdout, stderr and exit status together.
//!
//! `INSTA_UPDATE=always cargo test --workspace --test snapshots` writes the snapshots again, after a change that is
//! meant to change words. Then read the difference.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use parquet::file::properties::WriterProperties;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

/// Runs a command and returns everything that its caller sees.
fn seen(workshop: &Workshop, arguments: &[&str]) -> String {
    let output = workshop
        .command(arguments)
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env_remove("RATDATA_STORE")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let status = output.status.code().unwrap();
    format!(
        "$ ratdata {}\n[stdout]\n{}\n[stderr]\n{}\n[status] {status}\n",
        arguments.join(" "),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Holds what is seen to the recorded snapshot, but for times, speeds, places and fingerprints.
fn holds(name: &str, workshop: &Workshop, arguments: &[&str]) {
    holds_text(name, workshop, &seen(workshop, arguments));
}

/// Holds a text to the recorded snapshot, but for the same.
fn holds_text(name: &str, workshop: &Workshop, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    let folder = workshop.path("").display().to_string();
    settings.add_filter(&format!("(/private)?{}", folder.trim_end_matches('/')), "[FOLDER]");
    settings.add_filter(r"\b\d+(\.\d+)? (s|seconds|min|minutes)\b", "[TIME]");
    settings.add_filter(r"\b[\d,.]+ [kMG]?i?B/s", "[SPEED]");
    settings.add_filter(r"\b[\d,.]+ ([kMG] ?)?tokens/s", "[SPEED]");
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[PRINT]");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, seen));
}

#[test]
fn the_help_of_tokenize() {
    holds("tokenize_help", &Workshop::new(), &["tokenize", "--help"]);
}

#[test]
fn wrong_command_lines() {
    let workshop = Workshop::new();

    holds("option_typo", &workshop, &["tokenize", "--num-procs", "4"]);
    holds("no_threads", &workshop, &["tokenize", "--num-proc", "0"]);
    holds("unknown_alias", &workshop, &["tokenize", "--tokenizer", "lama"]);
}

#[test]
fn wrong_inputs() {
    let workshop = Workshop::new();
    let whole = fs::read(workshop.path("demo/corpus/000_00000.parquet")).unwrap();
    workshop.write("in/cut.parquet", &whole[..whole.len() / 2]);
    let mut damaged = whole;
    damaged[200..4000].fill(0x55);
    workshop.write("in/damaged.parquet", &damaged);
    workshop.write("in/line.jsonl", b"{\"text\": \"a\"}\n{\"text\": \n");
    let group = vec![vec!["a".to_owned()]];
    workshop.write_parquet("in/one.parquet", &group, WriterProperties::default());
    let tokenize = |name: &str, input: &str, more: &[&str]| {
        let start = ["tokenize", "--tokenizer", "demo/tokenizer", "--out", name, "--input", input];
        holds(name, &workshop, &[&start[..], more].concat());
    };

    tokenize("missing_input", "in/none.parquet", &[]);
    tokenize("missing_column", "in/one.parquet", &["--text-column", "body"]);
    tokenize("cut_parquet", "in/cut.parquet", &[]);
    tokenize("damaged_parquet", "in/damaged.parquet", &[]);
    tokenize("malformed_line", "in/line.jsonl", &[]);
}

#[test]
fn a_small_run_the_same_again_and_another_job() {
    let workshop = Workshop::new();
    let job = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    let job = [&job[..], &["--name", "t", "--out", "out"]].concat();

    holds("small_run", &workshop, &job);
    holds("small_run_again", &workshop, &job);
    holds("other_job_refused", &workshop, &[&job[..], &["--split-seed", "7"]].concat());
}

#[test]
fn what_inspect_shows_of_a_small_run() {
    let workshop = Workshop::new();
    let made = workshop.tokenize(&["--input", "demo/corpus", "--name", "t", "--out", "out"]);
    assert!(made.status.success(), "{}", stderr(&made));

    holds("inspect_small_run", &workshop, &["inspect", "out"]);
}

#[test]
fn the_plan_of_a_small_pipeline() {
    let workshop = Workshop::new();
    workshop.write("pipeline.toml", PIPELINE.as_bytes());

    holds("plan", &workshop, &["plan"]);
    holds("plan_check", &workshop, &["plan", "--check"]);
}

const PIPELINE: &str = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "demo/tokenizer"
input = "demo/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128
"#;

/// A pipeline with every key of `[executor.kubernetes]`.
const KUBERNETES: &str = r#"
[executor.kubernetes]
image = "registry.example/ratdata:0.1"
namespace = "data"
cpus = 4
mem = "8Gi"
array = 3
volumes = ["corpora:/corpora", "store:/store"]
secret = "bucket-credentials"

[executor.kubernetes.kinds.pack]
gpus = 1
cpus = 2
volumes = ["scratch:/scratch"]

[steps.tokens]
kind = "tokenize"
tokenizer = "demo/tokenizer"
input = "demo/corpus"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128
"#;

#[test]
fn the_jobs_of_kubernetes() {
    let workshop = Workshop::new();
    workshop.write("pipeline.toml", KUBERNETES);
    let arguments = ["run", "pipeline.toml", "--executor", "kubernetes", "--store", "store"];
    let output = workshop.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    let run = fs::read_dir(workshop.path("store/runs")).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<_> =
        fs::read_dir(run.join("kubernetes")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut written = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        written += &format!("==> {name}\n{}\n", fs::read_to_string(&file).unwrap());
    }

    holds_text("kubernetes_jobs", &workshop, &written);
}

//! `ratdata eval`: LongBench's files to a table of scores, with the real trainer where it was built next
//! to `ratdata`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "it says that the trainer was not built")]

use std::fs;
use std::path::Path;

use ratdata_tests::files;
use ratdata_tests::program::{self, run, stderr, succeed};
use serde_json::{Value, json};

/// A tiny model of sequences of 128 tokens, in `run` of a folder; none where there is no trainer.
fn trained() -> Option<tempfile::TempDir> {
    if !program::has_trainer() {
        eprintln!("ratdata-train is not next to ratdata: nothing is evaluated");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    program::write_sample(folder.path());
    let tokenize = ["tokenize", "--tokenizer", program::SAMPLE_TOKENIZER, "--name", "demo", "-q"];
    succeed(
        folder.path(),
        &[&tokenize[..], &["--input", "demo/corpus", "--out", "tokens"]].concat(),
    );
    let sets = ["--set", "model.vocab_size=1024", "--set", "training.iterations=2"];
    let train = ["train", "demo", "--data", "tokens", "--out", "run", "--device", "cpu", "-q"];
    succeed(folder.path(), &[&train[..], &sets].concat());
    Some(folder)
}

fn row(number: usize) -> Value {
    json!({
        "context": "It was a long day, and the rain fell on the town. ".repeat(number * 9),
        "input": "Question: Where did the rain fall?\nType:",
        "answers": ["Location"],
        "all_classes": ["Location", "Number"],
        "length": number,
        "_id": "x",
    })
}

fn write_rows(path: &Path, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    files::write(path, lines.join("\n") + "\n");
}

fn values(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tasks_become_predictions_and_a_table_of_scores() {
    let Some(folder) = trained() else { return };
    let folder = folder.path();
    let rows: Vec<Value> = (1..=3).map(row).collect();
    for task in ["trec", "lcc"] {
        write_rows(&folder.join(format!("bench/{task}.jsonl")), &rows);
    }
    let eval = ["eval", "run", "--longbench", "bench", "--tasks", "trec,lcc", "--device", "cpu"];

    let table = succeed(folder, &[&eval[..], &["--out", "a"]].concat());
    let one_by_one = succeed(folder, &[&eval[..], &["--out", "b", "--batch", "1"]].concat());

    assert_eq!(table, one_by_one);
    assert!(table.contains("longbench/trec") && table.contains("code-sim"), "{table}");
    let scores: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("a/scores.json")).unwrap()).unwrap();
    assert_eq!(scores.as_array().unwrap().len(), 2);
    for task in ["trec", "lcc"] {
        let file = format!("{task}/{task}.jsonl");
        let found = values(&folder.join("a").join(&file));
        assert_eq!(found.len(), 3, "{task}");
        assert!(found.iter().all(|row| row["pred"].is_string()), "{found:?}");
        assert_eq!(found[1]["answers"], json!(["Location"]));
        assert_eq!((&found[1]["length"], &found[1]["_id"]), (&json!(2), &Value::Null));
        assert_eq!(found, values(&folder.join("b").join(&file)), "the batch decides no byte");
    }
    let again = run(folder, &[&eval[..], &["--out", "a"]].concat());
    assert!(stderr(&again).contains("already done"), "{}", stderr(&again));
}

#[test]
fn what_is_wrong_with_files_is_one_error() {
    let Some(folder) = trained() else { return };
    let folder = folder.path();
    let mut rows: Vec<Value> = (1..=3).map(row).collect();
    rows[1]["answers"] = json!([]);
    write_rows(&folder.join("bench/trec.jsonl"), &rows);
    rows[1] = json!({"input": "x", "answers": ["y"]});
    write_rows(&folder.join("bench/lcc.jsonl"), &rows);
    write_rows(&folder.join("bench/qasper.jsonl"), &[row(1)]);
    files::write(&folder.join("bench/qmsum.jsonl"), "\n");

    for (run_folder, tasks, says) in [
        ("nosuch", "trec", "nosuch: no such run"),
        ("run", "vcsum", "LongBench has no task `vcsum` here, expected one of: 2wikimqa, "),
        ("run", "trec", "bench/trec.jsonl:2: the row has no `answers`"),
        ("run", "lcc", "bench/lcc.jsonl:2: the row has no text `context`"),
        ("run", "samsum", "bench/samsum.jsonl: the task's file is not there"),
        ("run", "qasper", "qasper: 128 new tokens leave no room for a prompt in a sequence of 128"),
        ("run", "qmsum", "bench/qmsum.jsonl: has no rows"),
    ] {
        let eval = ["eval", run_folder, "--longbench", "bench", "--tasks", tasks, "--out", "o"];
        let output = run(folder, &eval);

        assert!(!output.status.success(), "{tasks}");
        let said = stderr(&output);
        assert!(said.contains(says), "{tasks}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
}

#[test]
fn a_pipeline_takes_a_step_of_the_kind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files::write(&folder.join("run/metrics.jsonl"), "");
    write_rows(&folder.join("bench/trec.jsonl"), &[row(1)]);
    files::write(
        &folder.join("pipeline.toml"),
        "[steps.longbench]\nkind = \"eval\"\nrun = \"run\"\nlongbench = \"bench\"\ntasks = [\"trec\"]\n",
    );

    let planned = succeed(folder, &["plan"]);

    assert!(planned.contains("longbench  eval"), "{planned}");
}

#[test]
fn the_paper_is_one_pipeline() {
    let folder = tempfile::tempdir().unwrap();

    let planned = succeed(folder.path(), &["plan", "rat"]);

    for (kind, steps) in [
        ("train", 5 + 25),
        ("sft", 10),
        ("generate", 25),
        ("score", 5),
        ("eval", 10),
        ("tokenize", 1),
    ] {
        let found = planned.lines().filter(|line| line.split_whitespace().nth(1) == Some(kind));
        assert_eq!(found.count(), steps, "{kind}: {planned}");
    }
}

/// What answers as a Python with `lm_eval` does, and asks the server for its models.
const HARNESS: &str = r#"#!/usr/bin/env bash
set -e
if [ "$1" = -c ]; then echo 0.4.13; exit; fi
echo "$@" > words
url=$(grep -o 'base_url=[^,]*' words | sed 's#base_url=http://##;s#/v1/completions##')
echo "$url" > url
exec 3<>"/dev/tcp/${url%:*}/${url#*:}"
printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
cat <&3 > models
grep -q ',broken' words && { echo "the task is broken" >&2; exit 1; }
out=$(grep -o 'output_path [^ ]*' words | sed 's#output_path ##')
mkdir -p "$out/run"
echo '{"results": {"piqa": {"alias": "piqa", "acc,none": 0.5, "acc_stderr,none": 0.1}}}' > "$out/run/results_2026.json"
echo '{"doc_id": 0}' > "$out/run/samples_piqa_2026.jsonl"
"#;

#[test]
fn a_harness_asks_a_server_that_ends_with_it() {
    use std::os::unix::fs::PermissionsExt;

    let Some(folder) = trained() else { return };
    let folder = folder.path();
    let python = folder.join("venv/bin/python");
    files::write(&python, HARNESS);
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let eval = ["eval", "run", "--harness", "lm-eval", "--device", "cpu", "--python", "venv"];

    let table =
        succeed(folder, &[&eval[..], &["--tasks", "piqa,niah_single_1", "--out", "o"]].concat());

    assert!(table.contains("piqa") && table.contains("0.5000"), "{table}");
    assert_eq!(values(&folder.join("o/samples_piqa.jsonl")), [json!({"doc_id": 0})]);
    let scores: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("o/scores.json")).unwrap()).unwrap();
    assert_eq!(scores["harness"], "lm-eval 0.4.13");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let words = read("words");
    let all =
        ["local-completions", "max_length=128,custom_prefix_token_id=2", "piqa,niah_single_1"];
    assert!(all.iter().all(|word| words.contains(word)), "{words}");
    assert!(read("models").contains("\"run\""), "{}", read("models"));
    assert!(std::net::TcpStream::connect(read("url").trim()).is_err(), "the server has ended");

    for (more, says) in [
        (&["--tasks", "x,broken"][..], "lm_eval: the harness failed: the task is broken"),
        (&["--tasks", "piqa", "--python", "nosuch"], "nosuch: cannot start"),
        (&["--tasks", "piqa", "--python", "false"], "false: has no lm_eval"),
        (&["--tasks", "piqa", "--tokenizer", "nosuch/tokenizer.json"], "nosuch/tokenizer.json"),
        (&[], "--tasks"),
    ] {
        let base = &["eval", "run", "--harness", "lm-eval", "--device", "cpu"][..];
        let venv: &[&str] = if more.contains(&"--python") { &[] } else { &["--python", "venv"] };
        let output = run(folder, &[base, venv, more].concat());

        assert!(!output.status.success(), "{more:?}");
        let said = stderr(&output);
        assert!(said.contains(says) && said.matches("error: ").count() == 1, "{more:?}: {said}");
    }
}

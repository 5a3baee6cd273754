//! `ratdata compare`: the numbers of several models, and the paper's next to them.

use std::fs;
use std::path::Path;

use ratdata_tests::files::write;
use ratdata_tests::program::{run, succeed};
use serde_json::{Value, json};

fn scores(folder: &Path, name: &str, scores: &Value) {
    write(&folder.join(name).join("scores.json"), scores.to_string().as_bytes());
}

/// Two models: `rat-xl`, which the paper has, with a run and scores from three sides, and `own`.
fn results(folder: &Path) {
    let metrics = "{\"iteration\": 10, \"tokens\": 2000, \"loss\": 3.5, \"seconds\": 4.0}\n\
                   {\"iteration\": 20, \"tokens\": 4000, \"loss\": 2.5, \"val_loss\": 2.0, \"seconds\": 8.0}\n";
    write(&folder.join("run/metrics.jsonl"), metrics.as_bytes());
    let task = |task: &str, metric: &str, score: f64| json!({"task": task, "file": "x.jsonl", "rows": 3, "scores": {metric: score}, "row_scores": []});
    scores(
        folder,
        "tuned",
        &json!([task("narrativeqa_summary", "f1", 55.5), task("qmsum", "rouge-l", 20.25)]),
    );
    scores(
        folder,
        "longbench",
        &json!([
            task("longbench/lcc", "code-sim", 10.0),
            task("longbench/repobench-p", "code-sim", 30.0)
        ]),
    );
    let harness = |task: &str, metric: &str, value: f64| json!({"task": task, "metric": metric, "value": value, "stderr": null, "rows": 8});
    scores(
        folder,
        "harness",
        &json!({"harness": "lm-eval 0.4.13", "scores": [harness("piqa", "acc", 0.625), harness("lambada_openai", "perplexity", 12.5)]}),
    );
    scores(folder, "own", &json!([task("qmsum", "rouge-l", 7.0)]));
}

#[test]
fn every_number_has_the_papers_next_to_it() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    let named = ["rat-xl=run", "rat-xl=tuned", "rat-xl=longbench", "rat-xl=harness", "own=own"];

    succeed(folder.path(), &[&["compare"], &named[..], &["--paper", "--out", "out"]].concat());

    let text = fs::read_to_string(folder.path().join("out/results.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["models"], json!(["rat-xl", "own"]));
    let run = &found["training"][0];
    assert_eq!((&run["iterations"], &run["tokens_per_second"]), (&json!(20), &json!(500.0)));
    assert!((run["perplexity"].as_f64().unwrap() - 2.0_f64.exp()).abs() < 1e-12);
    assert_eq!(run["paper_perplexity"], 7.67);
    let values = |task: &str| {
        let rows = found["scores"].as_array().unwrap();
        let row = rows.iter().find(|row| row["task"] == task).unwrap();
        row["values"].clone()
    };
    let value = |value: Option<f64>, paper: Option<f64>| json!({"value": value, "paper": paper});
    let qmsum = json!([value(Some(20.25), Some(23.3)), value(Some(7.0), None)]);
    assert_eq!(values("qmsum"), qmsum);
    assert_eq!(values("piqa")[0], value(Some(62.5), None));
    assert_eq!(values("lambada_openai")[0], value(Some(12.5), None));
    let code = json!([value(Some(20.0), Some(17.4)), value(None, None)]);
    assert_eq!(values("mean of LongBench: code"), code);
    // The other tasks of common sense are missing.
    assert_eq!(values("mean of common sense")[0], value(None, Some(55.6)));

    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for shown in [
        "<td>narrativeqa_summary</td>",
        ">55.50</td>",
        ">60.8</td>",
        ">7.39</td>",
        "lm-eval 0.4.13",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(page.contains("Validation loss") && page.contains("Content-Security-Policy"));
}

#[test]
fn without_the_paper_there_is_no_column_for_it_and_the_bytes_are_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    let speeds = json!({"bench": "model", "width": 128, "blocks": 4, "vocabulary": 4096, "context": 1024, "new": 32, "rows": [
        {"model": "rat:16", "cache_bytes": 1024, "batch": 16, "tokens_per_second": 1234.6}]});
    write(&folder.path().join("bench/model.json"), speeds.to_string().as_bytes());
    let made = |out: &str| {
        succeed(
            folder.path(),
            &["compare", "rat-xl=tuned", "own=own", "--speed", "bench", "--out", out],
        );
        ["report.html", "results.json"]
            .map(|file| fs::read(folder.path().join(out).join(file)).unwrap())
    };

    let first = made("a");

    let page = String::from_utf8_lossy(&first[0]).into_owned();
    assert!(!page.contains(">paper<") && page.contains("1,235") && page.contains("width 128"));
    assert_eq!(first, made("b"));
    // The paper's models are larger, so its throughput says nothing here.
    succeed(
        folder.path(),
        &["compare", "rat-xl=tuned", "--speed", "bench", "--paper", "--out", "c"],
    );
    let text = fs::read_to_string(folder.path().join("c/results.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["speeds"]["rows"][0]["paper_tokens_per_second"], Value::Null);
}

#[test]
fn each_mistake_has_its_own_message() {
    let folder = tempfile::tempdir().unwrap();
    results(folder.path());
    fs::create_dir(folder.path().join("empty")).unwrap();
    write(&folder.path().join("cut/scores.json"), b"[{\"task\": ");
    write(&folder.path().join("odd/scores.json"), b"[{\"name\": 1}]");

    for (arguments, status, message) in [
        (&["run"][..], 2, "expected a model's name and a folder"),
        (&["rat=gone"], 2, "gone: not there, expected scores.json or metrics.jsonl"),
        (&["rat=empty"], 2, "empty: holds no results"),
        (&["rat=cut"], 1, "cut/scores.json: cannot read: EOF"),
        (&["rat=odd"], 1, "odd/scores.json: is not what ratdata writes"),
        (&["rat=run", "--speed", "run"], 2, "run/model.json: not there"),
    ] {
        let output = run(folder.path(), &[&["compare"], arguments, &["--out", "out"]].concat());

        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
        assert!(!folder.path().join("out").exists(), "{arguments:?}");
    }
}

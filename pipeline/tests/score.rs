//! `ratdata score`: tables, scores of rows, and one clear error for each wrong input.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use ratdata_tests::files::write;
use ratdata_tests::program::run;
use serde_json::Value;

const ROWS: &str = "{\"pred\": \"The cat sat on the mat.\", \"answers\": [\"A cat sat on a mat\"]}\n\
    {\"pred\": \"Paris\\nQuestion: what\", \"answers\": [\"London\", \"Paris, France\"]}\n\
    {\"pred\": \"\", \"answers\": [\"anything\"]}\n";

fn score(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = run(folder, &[&["score"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_folder_of_tasks_gives_a_table_with_the_metric_of_each() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("p/hotpotqa.jsonl"), ROWS.as_bytes());
    write(&folder.path().join("p/qmsum.jsonl"), ROWS.as_bytes());
    write(&folder.path().join("p/notes.txt"), b"no predictions");

    let (status, stdout, stderr) = score(folder.path(), &["p"]);

    assert_eq!((status, stderr.as_str()), (0, ""));
    let expected = "task                  rows  metric              score\n\
                    longbench/hotpotqa       3  f1                  55.56\n\
                    qmsum                    3  rouge-l             22.22\n";
    assert_eq!(stdout, expected);
}

#[test]
fn json_has_the_score_of_each_row_and_a_folder_gets_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("x.jsonl"), ROWS.as_bytes());
    let arguments = ["x.jsonl", "--metric", "f1,rouge-l,rouge-l-google", "--metric", "exact-match"];

    let (status, stdout, stderr) =
        score(folder.path(), &[&arguments[..], &["--json", "--out", "s"]].concat());

    assert_eq!(status, 0, "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let file = fs::read_to_string(folder.path().join("s/scores.json")).unwrap();
    assert_eq!(found, serde_json::from_str::<Value>(&file).unwrap());
    assert_eq!((&found[0]["task"], &found[0]["rows"]), (&"x".into(), &3.into()));
    assert_eq!(found[0]["file"], "x.jsonl");
    let rows: Vec<f64> =
        (0..3).map(|row| found[0]["row_scores"][row]["f1"].as_f64().unwrap()).collect();
    assert_eq!((rows[0], rows[2]), (1.0, 0.0));
    // Without a task nothing is cut off: the words are `paris question what` and `paris france`.
    assert!((rows[1] - 0.4).abs() < 1e-12);
    assert_eq!(found[0]["scores"]["exact-match"], 33.33);
    assert_eq!(found[0]["scores"]["f1"], 46.67);
}

#[test]
fn each_mistake_has_its_own_message_and_status() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("good.jsonl"), ROWS.as_bytes());
    write(
        &folder.path().join("broken.jsonl"),
        b"{\"pred\": \"a\", \"answers\": [\"b\"]}\n{\"pred\": \n",
    );
    write(&folder.path().join("bare.jsonl"), b"{\"pred\": \"a\"}\n");
    write(&folder.path().join("empty.jsonl"), b"\n");
    fs::create_dir(folder.path().join("nothing")).unwrap();

    for (arguments, status, message, hint) in [
        (&["good.jsonl"][..], 2, "`good` is no task that has a metric", "`--metric f1`"),
        (&["good.jsonl", "--metric", "bleu"], 2, "invalid value 'bleu'", "rouge-l-google"),
        (&["good.jsonl", "--task", "squad"], 2, "no task is called `squad`", "longbench/trec"),
        (&["gone.jsonl", "--metric", "f1"], 1, "gone.jsonl: cannot read: No such file", ""),
        (
            &["broken.jsonl", "--metric", "f1"],
            1,
            "broken.jsonl:2: not JSON",
            "{\"pred\": \"Paris\"",
        ),
        (
            &["bare.jsonl", "--metric", "f1"],
            1,
            "bare.jsonl:1: the row has no `answers`",
            "generate",
        ),
        (&["empty.jsonl", "--metric", "f1"], 1, "empty.jsonl: has no predictions", "generate"),
        (
            &["good.jsonl", "--task", "trec"],
            1,
            "good.jsonl:1: the row has no `all_classes`",
            "names of all",
        ),
        (&["nothing", "--metric", "f1"], 2, "nothing: has no .jsonl file", "generate"),
        (&[], 2, "required", "<PATH>"),
    ] {
        let (found, stdout, stderr) = score(folder.path(), arguments);

        assert_eq!((found, stdout.as_str()), (status, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message) && stderr.contains(hint), "{arguments:?}: {stderr}");
    }
}

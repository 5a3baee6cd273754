//! Anyone's instruction data through the command line: prompts, conversations, packing, errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ratdata_schemas::{IGNORE_INDEX, Row, RowSet};
use tempfile::TempDir;

fn ratdata(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"))
        .output()
        .unwrap()
}

fn write(path: &Path, content: &str) {
    use std::io::Write;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
}

/// A folder with the demo's tokenizer and a task over questions and answers.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = ratdata(&["sample", "--out", "demo", "--quiet"], folder.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    write(&folder.path().join("task.toml"), TASK);
    folder
}

const TASK: &str = r#"
prompt = "Q: {q}\nA:"
[splits.train]
source = "data/*.jsonl"
answers = ["a"]
"#;

/// Runs a task file and returns the status and what was said.
fn sft(folder: &Path, task: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec![
        "sft",
        "--task-file",
        task,
        "--tokenizer",
        "demo/tokenizer",
        "--out",
        "out",
        "--max-length",
        "64",
    ];
    arguments.extend(more);
    let output = ratdata(&arguments, folder);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn rows(folder: &Path) -> Vec<Row> {
    let set = RowSet::open(folder, "train").unwrap();
    let read = |number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        row
    };
    (0..set.num_rows()).map(read).collect()
}

fn learnt(rows: &[Row]) -> usize {
    rows.iter().flat_map(|row| &row.labels).filter(|&&label| label != IGNORE_INDEX).count()
}

#[test]
fn a_task_of_ones_own_learns_its_answers_packed_or_not() {
    let folder = workshop();
    let root = folder.path();
    let lines: Vec<String> = (0..40)
        .map(|n| format!("{{\"q\": \"what is number {n}?\", \"a\": \"it is {n}, of course\"}}"))
        .collect();
    write(&root.join("data/x.jsonl"), &lines.join("\n"));

    let (status, said) = sft(root, "task.toml", &[]);
    assert_eq!(status, Some(0), "{said}");
    let apart = rows(&root.join("out"));
    let mut packed = Vec::new();
    for packing in ["concat", "best-fit"] {
        fs::remove_dir_all(root.join("out")).unwrap();
        let (status, said) = sft(root, "task.toml", &["--packing", packing]);
        assert_eq!(status, Some(0), "{said}");
        packed.push(rows(&root.join("out")));
    }

    assert_eq!(apart.len(), 40);
    for rows in &packed {
        assert!(rows.len() < 40);
        assert_eq!(learnt(rows), learnt(&apart));
    }
}

#[test]
fn a_conversation_learns_its_assistant_turns_alone() {
    let folder = workshop();
    let root = folder.path();
    write(
        &root.join("chat.toml"),
        "[chat]\ntemplate = \"{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}\"\n[splits.train]\nsource = \"chat.jsonl\"\n",
    );
    write(
        &root.join("chat.jsonl"),
        "{\"messages\": [{\"role\": \"user\", \"content\": \"one two\"}, {\"role\": \"assistant\", \"content\": \"three\"}]}\n",
    );

    let (status, said) = sft(root, "chat.toml", &[]);

    assert_eq!(status, Some(0), "{said}");
    let rows = rows(&root.join("out"));
    let tokenizer =
        ratdata_tokenize::tokenizer::Tokenizer::load(&root.join("demo/tokenizer")).unwrap();
    let labels = rows[0].labels.iter().filter(|&&label| label != IGNORE_INDEX);
    let ids: Vec<u32> = labels.map(|label| label.cast_unsigned()).collect();
    assert_eq!(tokenizer.decode(&ids), "three;");
}

#[test]
fn each_wrong_input_is_told_in_one_error() {
    let folder = workshop();
    let root = folder.path();
    write(
        &root.join("data/x.jsonl"),
        "{\"q\": \"q\", \"a\": \"a\"}\n{\"q\": \"q\", \"a\": \"  \"}\n",
    );
    write(
        &root.join("long.jsonl"),
        &format!("{{\"q\": \"{}\", \"a\": \"a\"}}", "word ".repeat(400)),
    );
    write(&root.join("talk.jsonl"), "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}]}");
    let task = |name: &str, text: &str| write(&root.join(name), text);
    task("nocolumn.toml", &TASK.replace("{q}", "{question}"));
    task("brace.toml", &TASK.replace("A:", "A {"));
    task("key.toml", &TASK.replace("answers", "answer"));
    task("long.toml", &TASK.replace("data/*.jsonl", "long.jsonl"));
    task("few.toml", &TASK.replace("\"a\"]", "\"q\"]\nsample = { rows = 200, seed = 1 }"));
    task(
        "talk.toml",
        "[chat]\ntemplate = \"{{ messages[0].content }}\"\n[splits.train]\nsource = \"talk.jsonl\"\n",
    );
    task(
        "jinja.toml",
        "[chat]\ntemplate = \"a\\nb {% for %}\"\n[splits.train]\nsource = \"talk.jsonl\"\n",
    );
    for (name, more, status, says) in [
        ("task.toml", &[][..], 1, "data/x.jsonl: row 1: `a` is an empty answer"),
        ("nocolumn.toml", &[], 1, "row 0: `question` holds no text; the columns are: q, a"),
        ("brace.toml", &[], 2, "template, line 2, column 3: `{` is never closed"),
        ("key.toml", &[], 2, "unknown field `answer`"),
        ("long.toml", &["--truncate", "right"], 1, "each prompt fills its row"),
        ("few.toml", &[], 1, "found 2 rows, expected at least 200"),
        ("talk.toml", &[], 1, "row 0: the conversation has no assistant turn"),
        ("jinja.toml", &[], 2, "chat template: line 2, column"),
        ("task.toml", &["--split", "dev"], 2, "no split `dev`, there are: train"),
        ("missing.toml", &[], 2, "missing.toml: cannot read"),
    ] {
        let (found, said) = sft(root, name, more);

        assert_eq!(found, Some(status), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
        assert!(!root.join("out/manifest.json").exists(), "{name}");
    }
    let (status, said) = sft(root, "task.toml", &["--on-bad-row", "skip"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 rows left out"), "{said}");
    let unknown = ratdata(&["sft", "--task", "qmsun"], root);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        said.contains("the tasks are: narrativeqa_summary") && said.contains("`qmsum`?"),
        "{said}"
    );
}

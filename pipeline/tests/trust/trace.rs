//! Tracing: from a token back to where it came from.

use std::path::Path;

use serde_json::Value;

use super::support::workshop;
use ratdata_tests::files::write;
use ratdata_tests::program::{json, run};

#[test]
fn a_token_is_traced_to_its_characters() {
    let folder = workshop();
    let root = folder.path();
    assert!(
        run(root, &["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64"])
            .status
            .success()
    );

    let by_token =
        json(root, &["trace", "demo/tokens", "--token", "5000", "--input", "demo/corpus"]);
    let by_row = json(root, &["trace", "pack", "--row", "3", "--column", "9"]);
    let again = by_row["token"].to_string();
    let same = json(root, &["trace", "demo/tokens", "--token", &again]);

    let piece = by_token["piece"].as_str().unwrap();
    let context = by_token["context"].as_str().unwrap();
    let (_, rest) = context.split_once('⟦').unwrap();
    let (inside, _) = rest.split_once('⟧').unwrap();
    assert_eq!(piece.replace('▁', " ").trim(), inside.trim());
    assert!(by_token["url"].as_str().unwrap().starts_with("http"));
    assert_eq!(same["document"], by_row["document"]);
    assert_eq!(same["id"], by_row["id"]);
    let beyond = run(root, &["trace", "demo/tokens", "--token", "99999999"]);
    assert_eq!(beyond.status.code(), Some(2));
}

fn made(arguments: &[&str], root: &Path) {
    let output = run(root, &[arguments, &["--quiet"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_token_of_joined_artifacts_is_traced_to_the_row_of_the_first_one() {
    let folder = workshop();
    let root = folder.path();
    made(&["merge", "--input", "demo/tokens", "demo/tokens", "--out", "demo/joined"], root);
    made(&["merge", "--input", "demo/joined", "--out", "demo/again"], root);
    let tokens = json(root, &["inspect", "demo/tokens"])["splits"][0]["tokens"].as_u64().unwrap();
    let place = (tokens + 5000).to_string();
    let input = ["--input", "demo/corpus"];

    let first = json(root, &[&["trace", "demo/tokens", "--token", "5000"], &input[..]].concat());
    let joined = json(root, &[&["trace", "demo/again", "--token", &place], &input[..]].concat());

    for what in ["id", "source", "source_document", "row", "url", "span", "context"] {
        assert_eq!(first[what], joined[what], "{what}");
        assert!(!first[what].is_null(), "{what}");
    }
    let whole = run(root, &["verify", "demo/again"]);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
}

/// Two files of questions, shuffled, with two answers each.
fn questions(root: &Path, more: &[&str]) {
    let line = |n: u32| {
        format!(
            "{{\"q\": \"number {n}?\", \"a\": \"yes {n}\", \"b\": \"no {n}\", \"url\": \"http://x/{n}\"}}\n"
        )
    };
    for (file, numbers) in [("data/a.jsonl", 0..7), ("data/b.jsonl", 7..12)] {
        std::fs::create_dir_all(root.join("data")).unwrap();
        write(&root.join(file), numbers.map(line).collect::<String>().as_bytes());
    }
    let task = "prompt = \"Q: {q}\\nA:\"\n[splits.train]\nsource = \"data/*.jsonl\"\n\
        answers = [\"a\", \"b\"]\nshuffle = 3\nsample = { rows = 20, seed = 9 }\n";
    write(&root.join("task.toml"), task.as_bytes());
    let arguments = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer"];
    made(&[&arguments[..], &["--out", "rows", "--max-length", "64"], more].concat(), root);
}

/// Returns the text of an example, by looking at the row itself.
fn text_of(artifact: &str, number: u64, root: &Path) -> String {
    let set = ratdata_schemas::RowSet::open(&root.join(artifact), "train").unwrap();
    let mut row = ratdata_schemas::Row::default();
    set.read(number, &mut row);
    let ids = &row.inputs[..row.document_ends[0] as usize];
    let path = root.join("demo/tokenizer/tokenizer.json");
    ratdata_tokenize::tokenizer::Tokenizer::load(&path).unwrap().decode(ids)
}

#[test]
fn a_row_of_instruction_data_is_traced_to_its_file_and_row() {
    let folder = workshop();
    let root = folder.path();
    questions(root, &[]);

    for number in 0..20_u64 {
        let row = number.to_string();
        let traced =
            json(root, &["trace", "rows", "--row", &row, "--column", "2", "--input", "data"]);

        let text = text_of("rows", number, root);
        let file = if traced["source"].as_str().unwrap().ends_with("a.jsonl") { 0 } else { 7 };
        let question = file + traced["row"].as_u64().unwrap();
        let answer = if traced["answer"] == 0 { "yes" } else { "no" };
        assert!(text.contains(&format!("number {question}?")), "{text}: {traced}");
        assert!(text.contains(answer), "{text}: {traced}");
        assert_eq!(traced["url"], format!("http://x/{question}"));
    }
}

#[test]
fn packed_instruction_data_is_traced_through_its_bins() {
    let folder = workshop();
    let root = folder.path();
    questions(root, &[]);
    let pairs = json(root, &["trace", "rows", "--row", "4", "--column", "0"]);
    std::fs::remove_dir_all(root.join("rows")).unwrap();
    questions(root, &["--packing", "best-fit"]);

    let traced: Value = json(root, &["trace", "rows", "--row", "0", "--column", "0"]);

    assert!(traced["source"].is_string() && traced["row"].is_u64(), "{traced}");
    assert!(pairs["row"].is_u64());
}

#[test]
fn a_column_beyond_the_row_is_refused() {
    let folder = workshop();
    let root = folder.path();
    made(&["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64"], root);

    for (artifact, column) in [("pack", "65"), ("demo/tokens", "4096")] {
        let refused = run(root, &["trace", artifact, "--row", "0", "--column", column]);

        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("column {column}: a row has")), "{said}");
    }
}

#[test]
fn the_text_comes_out_again_with_the_tokenizer_that_lies_near() {
    let folder = workshop();

    made(&["export", "demo/tokens", "--to", "jsonl", "--out", "text"], folder.path());

    assert!(folder.path().join("text/train").is_dir());
}

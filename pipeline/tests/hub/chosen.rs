//! Which files of a data set are fetched: few for an estimate or a limit, and those that are data.

use std::fs;
use std::io::Write;
use std::path::Path;

use ratdata_tests::program::stderr;

use super::small_hub::{Fault, SmallHub};
use super::support::{cached, command, into, tokenize, with_input, workshop};

/// Copies the dataset's first file, so that there are many.
fn many_files(folder: &Path) {
    let tiny = folder.join("hub/datasets/sample/tiny");
    for number in 10..30 {
        fs::copy(tiny.join("000_00000.parquet"), tiny.join(format!("000_{number:05}.parquet")))
            .unwrap();
    }
}

#[test]
fn an_estimate_fetches_a_few_files_of_many() {
    let folder = workshop();
    many_files(folder.path());
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let output = command(folder.path(), &hub).arg("--estimate").output().unwrap();

    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(cached(folder.path()).len(), 8);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("files      23") && text.contains("in 8 of 23 files"), "{text}");
}

#[test]
fn a_limit_of_documents_fetches_no_file_that_it_does_not_need() {
    let folder = workshop();
    many_files(folder.path());
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let limited = |limit: &str, out: &str| {
        let limit = ["--limit-docs", limit];
        let output = into(folder.path(), &hub, out).args(limit).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read(folder.path().join(out).join("manifest.json")).unwrap()
    };

    let first = limited("100", "a");
    assert_eq!(cached(folder.path()), ["000_00000.parquet"]);
    limited("1500", "b");
    assert_eq!(cached(folder.path()).len(), 2);
    assert!(tokenize(folder.path(), &hub, &[]).status.success());
    let again = limited("100", "c");

    assert!(first == again, "what else lies in the cache changes no byte");
}

#[test]
fn a_folder_may_have_a_dot_and_texts_are_data_too() {
    let folder = workshop();
    let data = folder.path().join("hub/datasets");
    fs::create_dir_all(data.join("v1.0")).unwrap();
    for (name, text) in [
        ("README.md", "the card"),
        ("v1.0/a.ndjson", "{\"text\": \"lines\"}\n"),
        ("v1.0/b.txt", "a text"),
        ("v1.0/README.md", "a card, too"),
        ("v1.0/b.md", "named by itself"),
        ("v1.0/test-00000-of-00001.jsonl", "{\"text\": \"held out\"}\n"),
    ] {
        fs::File::create(data.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let documents = |input: &str, out: &str| {
        let output = with_input(folder.path(), &hub, input, out).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["documents"].as_u64().unwrap()
    };

    assert_eq!(documents("hf://datasets/some/corpus/v1.0", "a"), 2);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/b.txt", "b"), 1);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/b.md", "md"), 1);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/*.jsonl", "test"), 1);
    fs::remove_dir_all(data.join("sample")).unwrap();
    assert_eq!(documents("hf://datasets/some/corpus", "c"), 2, "the card is no document");
}

#[test]
fn held_out_files_are_fetched_only_where_they_are_asked_for() {
    let folder = workshop();
    let data = folder.path().join("hub/datasets/sample/tiny");
    for name in ["test-00000-of-00001", "validation-00000-of-00001"] {
        let file = data.join(format!("{name}.jsonl"));
        fs::File::create(file).unwrap().write_all(b"{\"text\": \"held out\"}\n").unwrap();
    }
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let run = |out: &str, more: &[&str], offline: &str| {
        let mut command = into(folder.path(), &hub, out);
        let output = command.args(more).env("HF_HUB_OFFLINE", offline).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let manifest = fs::read(folder.path().join(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        (manifest["sources"].as_array().unwrap().len(), stderr(&output))
    };

    let (train, told) = run("train", &[], "0");
    assert_eq!((train, cached(folder.path()).len()), (3, 3));
    assert!(told.contains("left out by the split that their names tell: 2 (`test-"), "{told}");
    let (again, told) = run("again", &[], "1");
    assert_eq!(again, 3, "the record of the listing serves offline");
    assert!(told.contains("tell: 2 (`test-"), "{told}");
    let (all, told) = run("all", &["--split-files", "all"], "0");
    assert_eq!((all, cached(folder.path()).len()), (5, 5));
    assert!(!told.contains("left out"), "{told}");
    assert_eq!(run("test", &["--split-files", "test"], "1").0, 1);
}

#[test]
fn the_hub_says_which_token_ends_a_document() {
    let folder = workshop();
    let config = folder.path().join("hub/models/tokenizer_config.json");
    let text = br#"{"eos_token": {"content": "<s>"}, "bos_token": "</s>"}"#;
    fs::File::create(config).unwrap().write_all(text).unwrap();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", stderr(&output));
    let manifest = fs::read(folder.path().join("out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        (&manifest["tokenizer"]["eos"], &manifest["tokenizer"]["bos"]),
        (&1.into(), &2.into())
    );
}

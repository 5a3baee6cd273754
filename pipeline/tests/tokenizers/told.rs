//! What is said of tokenizer files that are something else, or that are not followed in all.

use std::fs;

use serde_json::{Value, json};

use super::hostile::refused;
use super::support::{Folder, said, small, split, token, with};

#[test]
fn what_is_no_tokenizer_is_called_by_its_name() {
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let bom = [&b"\xef\xbb\xbf"[..], small().to_string().as_bytes()].concat();
    refused(&[
        ("tokenizer.json", b"null".to_vec(), &["JSON that is null"]),
        ("tokenizer.json", b"[]".to_vec(), &["JSON that is an array"]),
        ("tokenizer.json", Vec::new(), &["an empty file"]),
        ("tokenizer.json", bom, &["byte order mark", "UTF-8"]),
        ("tokenizer.json", utf16, &["UTF-16"]),
        ("tokenizer.json", pointer.to_vec(), &["Git LFS pointer", "git lfs pull"]),
        ("tokenizer.model", pointer.to_vec(), &["Git LFS pointer", "git lfs pull"]),
        ("tokenizer.json", b"<html><body>404</body></html>".to_vec(), &["HTML"]),
        ("tokenizer.model", b"\x1f\x8b\x08\x00\x00".to_vec(), &["a gzip file", "unpack"]),
        ("tokenizer.json", b"{\"model\": ".to_vec(), &["it ends early"]),
        ("tokenizer.json", b"{}".to_vec(), &["missing field `model`"]),
        ("tokenizer.json", b"{model}".to_vec(), &["it is no JSON"]),
        ("vocab.txt", b"[PAD]\nthe\n".to_vec(), &["text that begins with `[PAD]`"]),
        (
            "tokenizer.model",
            vec![0x0a, 50, 1],
            &["no SentencePiece model", "the file ends within a field"],
        ),
    ]);
}

#[test]
fn dropout_is_refused_wherever_a_tokenizer_is_loaded_and_none_is_not() {
    let folder = Folder::new();
    folder.write("a.jsonl", b"{\"text\": \"abab\"}\n");
    folder.write("t.json", &with("/model/dropout", 0.1.into()));
    folder.write("zero.json", &with("/model/dropout", 0.0.into()));
    let made = folder.tokenize("zero.json", "a.jsonl", "whole");
    assert!(made.status.success(), "{}", said(&made));

    let verify = ["verify", "whole", "--retokenize", "100%", "--input", "a.jsonl", "--tokenizer"];
    for command in [
        &["tokenize", "--input", "a.jsonl", "--out", "o", "--tokenizer"][..],
        &["tokenize", "--estimate", "--input", "a.jsonl", "--tokenizer"],
        &["sft", "--task", "qmsum", "--input", ".", "--out", "o", "--tokenizer"],
        &["import", "a.npy", "--from", "npy", "--out", "o", "--tokenizer"],
        &["inspect", "whole", "--tokenizer"],
        &["export", "whole", "--to", "jsonl", "--out", "o", "--tokenizer"],
        &verify,
    ] {
        let output = folder.run(&[command, &["t.json"]].concat());

        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(
            said.contains("t.json: `model.dropout` is 0.1, expected null"),
            "{command:?}: {said}"
        );
        assert!(said.contains("hint: set `\"dropout\": null`"), "{command:?}: {said}");
    }
}

#[test]
fn what_a_file_asks_for_and_does_not_get_is_told_once() {
    let folder = Folder::new();
    folder.write("a.jsonl", b"{\"text\": \"ab<far>ab ab\"}\n");
    let mut file = small();
    file["added_tokens"] = token(70_000, "<far>");
    file["truncation"] =
        json!({"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0});
    folder.write("t.json", file.to_string().as_bytes());

    let output = folder.tokenize("t.json", "a.jsonl", "o");

    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("warning: t.json: its `truncation` is ignored").count(), 1, "{told}");
    assert_eq!(
        told.matches("gives the id 70000 to its added token `<far>`, which has the id 3").count(),
        1,
        "{told}"
    );
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.path("o/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["tokenizer"]["vocab_size"], 4);
    assert!(manifest.to_string().contains("u16"), "{manifest}");
    let proved = folder.run(&[
        "verify",
        "o",
        "--retokenize",
        "100%",
        "--input",
        "a.jsonl",
        "--tokenizer",
        "t.json",
    ]);
    assert!(proved.status.success(), "{}", said(&proved));
}

#[test]
fn what_is_left_to_tokenizers_is_said_with_the_reason() {
    let folder = Folder::new();
    let empty = json!({"type": "Prepend", "prepend": ""});
    let left = folder.try_out("t.json", &with("/normalizer", empty));
    let by_stages = folder.try_out("t.json", &with("/model/merges", json!([])));

    assert!(left.status.success(), "{}", said(&left));
    let said_of = said(&left);
    let rate = said_of
        .split_once("is left to Hugging Face `tokenizers`, which encodes ")
        .and_then(|(_, rest)| {
            rest.split_once(" MB/s on one thread here, since its normalizer prepends an empty text")
        })
        .unwrap_or_else(|| panic!("{said_of}"))
        .0;
    assert!(rate.parse::<f64>().unwrap() > 0.0, "{said_of}");
    assert!(by_stages.status.success(), "{}", said(&by_stages));
    assert!(!said(&by_stages).contains("is left to"), "{}", said(&by_stages));
}

#[test]
fn the_summary_counts_what_took_a_slow_path_and_which() {
    let folder = Folder::new();
    folder.write("a.jsonl", b"{\"text\": \"ab\"}\n{\"text\": \"abba!\"}\n");
    let empty = json!({"type": "Prepend", "prepend": ""});
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/../tokenize/examples/tiny/tokenizer.json");
    for (name, file, path, units, bytes) in [
        ("engine.json", fs::read(tiny).unwrap(), "long_units", 0, 0),
        ("stages.json", with("/model/merges", json!([])), "stages", 2, 7),
        ("left.json", with("/normalizer", empty), "tokenizers", 2, 7),
    ] {
        folder.write(name, &file);

        let output = folder.run(&[
            "tokenize",
            "--json",
            "--tokenizer",
            name,
            "--input",
            "a.jsonl",
            "--out",
            name.trim_end_matches(".json"),
            "--eos",
            "off",
        ]);

        assert!(output.status.success(), "{}", said(&output));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        for other in ["stages", "unigram", "tokenizers", "long_units"] {
            let expected = if other == path { (units, bytes) } else { (0, 0) };
            let found = &summary["slow_paths"][other];
            assert_eq!(found["units"], expected.0, "{name}: {summary}");
            assert_eq!(found["bytes"], expected.1, "{name}: {summary}");
        }
    }
}

#[test]
fn a_text_that_the_oracle_refuses_is_counted_as_not_judged() {
    let folder = Folder::new();
    let long = "a".repeat(60);
    let lines = format!("{{\"text\": \"ab\"}}\n{{\"text\": \"{long}!b\"}}\n{{\"text\": \"ba\"}}\n");
    folder.write("a.jsonl", lines.as_bytes());
    folder.write("t.json", &split("(a+)+$"));
    let made = folder.tokenize("t.json", "a.jsonl", "o");
    assert!(made.status.success(), "{}", said(&made));
    let verify =
        ["verify", "o", "--retokenize", "100%", "--input", "a.jsonl", "--tokenizer", "t.json"];

    let verified = folder.run(&[&verify[..], &["--json"]].concat());
    let told = said(&verified);

    assert_eq!(verified.status.code(), Some(0), "{told}");
    let summary: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(summary["documents_retokenized"], 3, "{summary}");
    assert_eq!(summary["documents_unjudged"], 1, "{summary}");
    assert!(told.contains("warning: the oracle cannot judge 1 document"), "{told}");
    assert!(told.contains("a.jsonl: row 1, document 0 of `train`: "), "{told}");
    assert!(told.contains("the pattern `(a+)+$` of its pre-tokenizer takes more than"), "{told}");
}

#[test]
fn files_next_to_a_tokenizer_that_are_not_objects_are_reported() {
    let folder = Folder::new();
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        for (bytes, says) in [
            (&b"[]"[..], "found an array"),
            (b"\xff\xfe", "found UTF-16 text"),
            (b"version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer"),
            (b"{\"eos_token\": ", "EOF while parsing"),
        ] {
            folder.write(&format!("t/{name}"), bytes);
            let output = folder.try_out("t/tokenizer.json", small().to_string().as_bytes());

            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(&format!("t/{name}: expected a JSON object")), "{said}");
            assert!(said.contains(says), "{says}: {said}");
        }
        fs::remove_file(folder.path(&format!("t/{name}"))).unwrap();
    }
}

#[test]
fn a_source_that_is_not_there_is_told_before_a_tokenizer_is_asked_for() {
    let folder = Folder::new();
    folder.write("a.jsonl", b"{\"text\": \"abab\"}\n");
    folder.write("t/deep/t.json", small().to_string().as_bytes());
    let made = folder.tokenize("t/deep/t.json", "a.jsonl", "o");
    assert!(made.status.success(), "{}", said(&made));

    let output = folder.run(&["verify", "o", "--retokenize", "1%", "--input", "nope"]);
    let unnamed = folder.run(&["verify", "o", "--retokenize", "1%", "--input", "a.jsonl"]);

    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("`nope`: no input matched"), "{}", said(&output));
    assert!(said(&unnamed).contains("no tokenizer was found"), "{}", said(&unnamed));
}

#[test]
fn verify_says_which_of_source_tokenizer_and_artifact_differs() {
    let folder = Folder::new();
    folder.write("a.jsonl", b"{\"text\": \"abab\"}\n");
    folder.write("t.json", small().to_string().as_bytes());
    folder.write("other.json", &with("/model/fuse_unk", true.into()));
    let made = folder.tokenize("t.json", "a.jsonl", "o");
    assert!(made.status.success(), "{}", said(&made));
    let verify = |tokenizer: &str| {
        folder.run(&[
            "verify",
            "o",
            "--retokenize",
            "100%",
            "--input",
            "a.jsonl",
            "--tokenizer",
            tokenizer,
        ])
    };
    let accused = "the artifact was changed";

    let other = verify("other.json");
    folder.write("a.jsonl", b"{\"text\": \"abba\"}\n");
    let source = verify("t.json");

    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(
        said(&other).contains("other.json") && !said(&other).contains(accused),
        "{}",
        said(&other)
    );
    assert_eq!(source.status.code(), Some(3), "{}", said(&source));
    assert!(
        said(&source).contains("another file than the one that was tokenized")
            && !said(&source).contains(accused),
        "{}",
        said(&source)
    );
}

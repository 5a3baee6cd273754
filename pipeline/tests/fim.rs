//! Fill in the middle through the command line: the parts of documents, the same bytes, checks, errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ratdata_schemas::{BinSet, narrow};
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::small_tokenizers::small_tokenizers;
use ratdata_tests::workshop::Workshop;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::{Value, json};

const STAR_CODER: [&str; 3] = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"];

/// Documents of code in several scripts, each other than the others.
fn documents(count: usize) -> Vec<String> {
    let document = |number: usize| {
        let body = format!("    return {number} + x  # größe, 漢字, 🙂\n").repeat(1 + number % 4);
        format!("def f_{number}(x):\n{body}\n")
    };
    (0..count).map(document).collect()
}

fn lines(documents: &[String]) -> String {
    let lines: Vec<String> =
        documents.iter().map(|text| json!({ "text": text }).to_string()).collect();
    lines.join("\n") + "\n"
}

/// Writes a tokenizer with these added tokens.
fn write_tokenizer(workshop: &Workshop, name: &str, mut file: Value, tokens: &[&str]) {
    let vocab = file["model"]["vocab"].as_object().unwrap().len() as u64;
    let added = file["added_tokens"].as_array_mut().unwrap();
    let first = added.iter().filter_map(|token| token["id"].as_u64()).max().unwrap_or(0) + 1;
    for (id, token) in (first.max(vocab)..).zip(tokens) {
        added.push(json!({"id": id, "content": token, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}));
    }
    workshop.write(&format!("{name}/tokenizer.json"), file.to_string());
}

/// A folder with `code.jsonl`, and the tokenizer `star` with the tokens of `StarCoder`.
fn workshop(count: usize) -> Workshop {
    let workshop = Workshop::empty();
    workshop.write("code.jsonl", lines(&documents(count)));
    let gpt2 = small_tokenizers().into_iter().find(|small| small.name == "GPT-2").unwrap();
    let mut file = gpt2.file;
    file["decoder"] = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": true});
    write_tokenizer(&workshop, "star", file, &STAR_CODER);
    workshop
}

fn tokenize(workshop: &Workshop, out: &str, more: &[&str]) -> (Option<i32>, String) {
    let usual = ["tokenize", "--out", out, "--val-fraction", "0", "--order", "file"];
    let input: &[&str] = if more.contains(&"--input") { &[] } else { &["--input", "code.jsonl"] };
    let tokenizer: &[&str] =
        if more.contains(&"--tokenizer") { &[] } else { &["--tokenizer", "star"] };
    let output = workshop.run(&[&usual[..], input, tokenizer, more].concat());
    (output.status.code(), stderr(&output))
}

fn made(workshop: &Workshop, out: &str, more: &[&str]) {
    let (status, said) = tokenize(workshop, out, more);
    assert_eq!(status, Some(0), "{said}");
}

/// The documents of `train` as ids, without EOS.
fn ids(workshop: &Workshop, out: &str, eos: Option<u32>) -> Vec<Vec<u32>> {
    let set = BinSet::open(&workshop.path(out), "train").unwrap();
    let mut all = Vec::new();
    for shard in set.shards() {
        let index = shard.index().unwrap();
        for number in 0..index.len() {
            let range = index.range(number).unwrap();
            let mut ids = shard
                .bin()
                .tokens()
                .slice(narrow(range.start)..narrow(range.end))
                .unwrap()
                .to_vec();
            assert!(eos.is_none() || ids.pop() == eos);
            all.push(ids);
        }
    }
    all
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Whole,
    Psm,
    Spm,
}

/// Puts the parts of a document together again: its text, and how it was written.
fn together(tokenizer: &Tokenizer, ids: &[u32]) -> (String, Written) {
    let [prefix, middle, suffix] = STAR_CODER.map(|token| tokenizer.id_of(token).unwrap());
    if ids.first() != Some(&prefix) {
        return (tokenizer.decode(ids), Written::Whole);
    }
    let place = |id: u32| ids.iter().position(|&other| other == id).unwrap();
    let (suffix, middle) = (place(suffix), place(middle));
    let (before, after, filled) = (&ids[1..suffix], &ids[suffix + 1..middle], &ids[middle + 1..]);
    if suffix == 1 {
        // Of SPM, the prefix and what is filled in follow each other.
        return (tokenizer.decode(&[filled, after].concat()), Written::Spm);
    }
    (tokenizer.decode(&[before, filled, after].concat()), Written::Psm)
}

#[test]
fn each_document_is_its_parts_at_the_rates_that_were_asked_for() {
    let workshop = workshop(4000);
    made(&workshop, "out", &["--fim-rate", "0.7", "--fim-spm-rate", "0.25"]);

    let tokenizer = Tokenizer::load(workshop.path("star")).unwrap();
    let mut counts: BTreeMap<Written, usize> = BTreeMap::new();
    for (ids, text) in ids(&workshop, "out", tokenizer.eos()).iter().zip(documents(4000)) {
        let (found, written) = together(&tokenizer, ids);
        // An empty prefix of PSM looks like SPM with nothing before the middle, and reads the same.
        assert_eq!(found, text, "{written:?}");
        *counts.entry(written).or_default() += 1;
    }
    let near = |written: Written, share: f64| {
        let found = counts[&written] as f64 / 4000.0;
        assert!((found - share).abs() < 0.03, "{written:?}: {found}, expected {share}");
    };
    near(Written::Whole, 0.3);
    near(Written::Spm, 0.7 * 0.25);
    near(Written::Psm, 0.7 * 0.75);
    let manifest = std::fs::read(workshop.path("out/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let recorded = json!({"rate": 0.7, "spm_rate": 0.25, "seed": 0, "tokens":
        {"prefix": "<fim_prefix>", "middle": "<fim_middle>", "suffix": "<fim_suffix>"}});
    assert_eq!(manifest["recipe"]["fim"], recorded);
}

#[test]
fn threads_shares_and_other_files_change_no_document() {
    let workshop = workshop(900);
    workshop.write("in/a.jsonl", lines(&documents(300)));
    workshop.write("in/b.jsonl", lines(&documents(500)));
    let job = ["--fim-rate", "0.9", "--fim-seed", "5"];
    let both = [&job[..], &["--input", "in"]].concat();

    made(&workshop, "one", &[&both[..], &["--num-proc", "1"]].concat());
    made(&workshop, "many", &[&both[..], &["--num-proc", "5"]].concat());
    made(&workshop, "shares", &[&both[..], &["--shard", "1/2"]].concat());
    made(&workshop, "shares", &[&both[..], &["--shard", "0/2"]].concat());
    made(&workshop, "shares", &both);
    made(&workshop, "alone", &[&job[..], &["--input", "in/b.jsonl"]].concat());
    made(&workshop, "seed", &["--fim-rate", "0.9", "--fim-seed", "6", "--input", "in"]);

    let one = content(&workshop.path("one"));
    assert_eq!(one, content(&workshop.path("many")));
    assert_eq!(one, content(&workshop.path("shares")));
    let documents = ids(&workshop, "one", None);
    assert_eq!(documents[300..], ids(&workshop, "alone", None));
    // The same text at another place is parted otherwise.
    assert_ne!(documents[..300], documents[300..600]);
    assert_ne!(documents, ids(&workshop, "seed", None));
}

#[test]
fn every_form_of_tokenizer_is_verified_and_traced_through_the_parts() {
    for small in small_tokenizers() {
        let workshop = Workshop::empty();
        workshop.write("code.jsonl", lines(&documents(60)));
        write_tokenizer(&workshop, "small", small.file, &STAR_CODER);
        let eos = ["--tokenizer", "small", "--eos", "<fim_suffix>", "--fim-rate", "1"];
        made(&workshop, "out", &[&eos[..], &["--num-proc", "2"]].concat());

        let verify = [
            "verify",
            "out",
            "--tokenizer",
            "small",
            "--retokenize",
            "100%",
            "--input",
            "code.jsonl",
        ];
        let output = workshop.run(&verify);
        assert_eq!(output.status.code(), Some(0), "{}: {}", small.name, stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        assert!(said.contains("60"), "{}: {said}", small.name);

        for token in [0, 1, 7, 20, 33, 46] {
            let trace = [
                "trace",
                "out",
                "--tokenizer",
                "small",
                "--input",
                "code.jsonl",
                "--token",
                &token.to_string(),
            ];
            let output = workshop.run(&trace);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{} {token}: {}",
                small.name,
                stderr(&output)
            );
        }
    }
}

#[test]
fn a_token_of_a_part_is_traced_to_its_bytes() {
    let workshop = workshop(3);
    made(&workshop, "out", &["--fim-rate", "1", "--fim-spm-rate", "0"]);
    let tokenizer = Tokenizer::load(workshop.path("star")).unwrap();
    let ids = ids(&workshop, "out", tokenizer.eos()).remove(0);
    let middle = tokenizer.id_of("<fim_middle>").unwrap();
    let place = ids.iter().position(|&id| id == middle).unwrap();

    let trace = |token: usize| {
        let output = workshop.run(&[
            "trace",
            "out",
            "--input",
            "code.jsonl",
            "--tokenizer",
            "star",
            "--json",
            "--token",
            &token.to_string(),
        ]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let suffix = place - 1;
    let found = trace(suffix);
    let text = &documents(3)[0];
    // The last token of the suffix is the end of the document.
    assert_eq!(found["span"][1], text.len(), "{found}");
    let found = trace(place);
    assert_eq!(
        (&found["piece"], &found["span"]),
        (&json!("<fim_middle>"), &Value::Null),
        "{found}"
    );
}

#[test]
fn a_document_with_a_token_of_its_own_is_told_or_left_out() {
    let workshop = workshop(5);
    let text = format!("{}{}\n", lines(&documents(5)), json!({"text": "see <fim_middle> there"}));
    workshop.write("code.jsonl", text + &lines(&documents(2)));

    let (status, said) = tokenize(&workshop, "out", &["--fim-rate", "0.5"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("code.jsonl: line 6: byte 4: the text has `<fim_middle>`"), "{said}");
    assert!(said.contains("`--special-in-text plain`"), "{said}");

    let skip = ["--fim-rate", "0.5", "--on-bad-row", "skip"];
    let (status, said) = tokenize(&workshop, "skipped", &skip);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 rows without text were left out"), "{said}");
    assert_eq!(ids(&workshop, "skipped", None).len(), 7);
    let plain = ["--fim-rate", "0.5", "--special-in-text", "plain"];
    made(&workshop, "plain", &plain);
    assert_eq!(ids(&workshop, "plain", None).len(), 8);
    made(&workshop, "limited", &[&skip[..], &["--limit-docs", "6"]].concat());
    assert_eq!(ids(&workshop, "limited", None).len(), 6);

    for out in ["skipped", "plain", "limited"] {
        let verify =
            ["verify", out, "--tokenizer", "star", "--retokenize", "100%", "--input", "code.jsonl"];
        let output = workshop.run(&verify);
        assert_eq!(output.status.code(), Some(0), "{out}: {}", stderr(&output));
    }
}

#[test]
fn the_tokens_of_families_are_recognized_and_others_are_named() {
    let workshop = workshop(9);
    let gpt2 = small_tokenizers().into_iter().find(|small| small.name == "GPT-2").unwrap();
    for (name, tokens) in [
        ("qwen", ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]),
        ("santa", ["<fim-prefix>", "<fim-middle>", "<fim-suffix>"]),
        ("llama", ["▁<PRE>", "▁<MID>", "▁<SUF>"]),
        ("deepseek", ["<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜fim▁hole｜>"]),
    ] {
        write_tokenizer(&workshop, name, gpt2.file.clone(), &tokens);
        let (status, said) = tokenize(&workshop, name, &["--tokenizer", name, "--fim-rate", "1"]);
        assert_eq!(status, Some(0), "{said}");
        let [prefix, middle, suffix] = tokens;
        let told = format!("documents are parted with `{prefix}`, `{suffix}` and `{middle}`");
        assert!(said.contains(&told), "{said}");
    }
    write_tokenizer(&workshop, "own", gpt2.file.clone(), &["<a>", "<b>", "<c>"]);
    let named = ["--tokenizer", "own", "--fim-rate", "1", "--fim-tokens", "<a>,<b>,<c>"];
    made(&workshop, "own", &named);

    for (more, says) in [
        (&["--tokenizer", "own"][..], "no tokens of fill in the middle that are known"),
        (
            &["--tokenizer", "own", "--fim-tokens", "<a>,<b>,<d>"],
            "the vocabulary has no token `<d>`",
        ),
        (&["--tokenizer", "own", "--fim-tokens", "<a>,<b>,a"], "as a piece of text"),
        (&["--fim-tokens", "<a>,<b>"], "expected three tokens"),
        (&["--fim-spm-rate", "1.5"], "expected a share from 0 to 1"),
    ] {
        let (status, said) = tokenize(&workshop, "refused", &[&["--fim-rate", "1"], more].concat());

        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(says), "{more:?}: {said}");
        assert!(!workshop.path("refused").exists());
    }
    let (status, said) = tokenize(&workshop, "refused", &["--fim-seed", "1"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("--fim-rate"), "{said}");
}

#[test]
fn an_estimate_counts_the_tokens_around_the_parts() {
    let workshop = workshop(2000);
    made(&workshop, "out", &["--fim-rate", "1"]);
    let tokens: usize = ids(&workshop, "out", None).iter().map(Vec::len).sum();

    let estimate = [
        "tokenize",
        "--input",
        "code.jsonl",
        "--tokenizer",
        "star",
        "--fim-rate",
        "1",
        "--estimate",
        "--json",
    ];
    let output = workshop.run(&estimate);

    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["tokens"].as_u64().unwrap(), tokens as u64, "{found}");
}

//! Tokenizer files that ask for all memory, all time, or a panic.

use std::fs;

use serde_json::{Value, json};

use super::support::{Folder, model, replace, said, small, split, token, with};

/// Runs each file, which has to end with status 1, the file's name and these words.
pub(crate) fn refused(cases: &[(&str, Vec<u8>, &[&str])]) {
    let folder = Folder::new();
    for (name, bytes, says) in cases {
        let output = folder.try_out(name, bytes);

        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{name}, {says:?}: {said}");
        assert!(said.contains(name), "{name}: {said}");
        for words in *says {
            assert!(said.contains(words), "{name}: `{words}` is not in: {said}");
        }
        assert!(!folder.path("out/manifest.json").exists());
        fs::remove_file(folder.path(name)).unwrap();
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn files_that_ask_for_all_memory_or_all_time_are_refused() {
    let deep = |open: &str, close: &str| {
        format!("{{\"model\": {{\"vocab\": {}{}}}}}", open.repeat(100_000), close.repeat(100_000))
    };
    let deep_part = format!(
        "{{\"normalizer\": {}{}, \"model\": {{}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let mut nested = json!({"type": "NFC"});
    for _ in 0..50 {
        nested = json!({"type": "Sequence", "normalizers": [nested]});
    }
    let many: serde_json::Map<String, Value> =
        (0..1_100_000).map(|n| (format!("{n}"), n.into())).collect();
    let long = "ab".repeat(40_000);
    let mut steps = vec![json!({"type": "NFC"}); 1024];
    steps.push(replace("a", "b"));
    let bytes = vec![
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        40
    ];
    let stairs: Vec<String> = (1..2200).map(|len| "a".repeat(len)).collect();
    let stairs: Vec<&str> = stairs.iter().map(String::as_str).collect();
    let heavy: Vec<String> = (0..4).map(|n| format!("{n}{}", "x".repeat(50_000))).collect();
    let heavy: Vec<&str> = heavy.iter().map(String::as_str).collect();
    let mut more = small();
    more["more"] = json!({"a": 1});
    let word_piece = json!({"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 1_000_000_000_u64, "vocab": {"a": 0}});
    refused(&[
        // `tokenizers` refuses both, so there are no ids that ours could equal.
        (
            "tokenizer.json",
            with("/version", "9.9".into()),
            &["`version` is \"9.9\", expected \"1.0\""],
        ),
        ("tokenizer.json", more.to_string().into_bytes(), &["unknown field `more`"]),
        (
            "tokenizer.json",
            with("/model/vocab/b", 4_000_000_000_u64.into()),
            &["has the id 4000000000"],
        ),
        ("tokenizer.json", with("/model/vocab/b", 5_000_000_000_u64.into()), &["5000000000"]),
        ("tokenizer.json", with("/model/vocab/b", (-1).into()), &["-1"]),
        (
            "tokenizer.json",
            with("/model/vocab", Value::Object(many)),
            &["more than 1048576 pieces"],
        ),
        ("tokenizer.json", with("/model/vocab", json!({long.clone(): 0})), &["80000 bytes"]),
        ("tokenizer.json", with("/added_tokens", token(3, &long)), &["80000 bytes"]),
        (
            "tokenizer.json",
            with("/model/merges", json!(["ab ab", "ab a"])),
            &["merge 0", "`abab` is no piece"],
        ),
        (
            "tokenizer.json",
            with("/model/merges", json!([["x", "a"]])),
            &["merge 0", "`xa` is no piece"],
        ),
        ("tokenizer.json", with("/model/merges", json!(["a b c"])), &["`a b c` is no pair"]),
        (
            "tokenizer.json",
            with("/model/continuing_subword_prefix", "####".into()),
            &["shorter than the prefix"],
        ),
        ("tokenizer.json", deep("[", "]").into_bytes(), &["not a tokenizer that can be used"]),
        ("tokenizer.json", deep_part.into_bytes(), &["`normalizer`: recursion limit exceeded"]),
        (
            "tokenizer.json",
            deep("{\"a\":", "}").into_bytes(),
            &["not a tokenizer that can be used"],
        ),
        ("tokenizer.json", with("/normalizer", nested), &["nested deeper than 32"]),
        (
            "tokenizer.json",
            with("/normalizer", json!({"type": "Sequence", "normalizers": steps})),
            &["more than 1024 steps"],
        ),
        (
            "tokenizer.json",
            with("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="})),
            &["4294967295"],
        ),
        (
            "tokenizer.json",
            with("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": bytes})),
            &["more than 3 times"],
        ),
        ("tokenizer.json", split(&"(".repeat(5000)), &["opens 5000 groups"]),
        ("tokenizer.json", split("(((("), &["unmatched parenthesis"]),
        (
            "tokenizer.json",
            with("/model", word_piece),
            &["max_input_chars_per_word", "at most 1000"],
        ),
        (
            "tokenizer.json",
            with("/model", json!({"type": "Unigram", "vocab": [["a".repeat(2000), 0.0]]})),
            &["too long"],
        ),
        (
            "tokenizer.json",
            with("/model/type", "Nonsense".into()),
            &["refuses this `tokenizer.json`"],
        ),
        ("tokenizer.model", model(&["a", &long]), &["more than 65536 bytes"]),
        ("tokenizer.model", model(&heavy), &["too long to be split"]),
        ("tokenizer.model", model(&stairs), &["more than 2097152 merges"]),
    ]);
}

fn regex_replace(regex: &str) -> Value {
    json!({"type": "Replace", "pattern": {"Regex": regex}, "content": "b"})
}

#[test]
fn texts_that_a_file_makes_without_end_are_errors_of_their_row() {
    let sequence =
        |steps: Vec<Value>| with("/normalizer", json!({"type": "Sequence", "normalizers": steps}));
    let row: &[&str] = &["a.jsonl: line 1"];
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("tokenizer.json", split("(a+)+(?=[cd])"), vec!["`(a+)+(?=[cd])`", "steps"]),
        ("tokenizer.json", split(r"(a*)*\1b\1c"), vec![]),
        ("tokenizer.json", split("(a|a)*$"), vec!["`(a|a)*$`", "steps"]),
        ("tokenizer.json", split("(a|aa)+(?=[cd])"), vec!["`(a|aa)+(?=[cd])`", "steps"]),
        ("tokenizer.json", split("(a|aa)+[cd]"), vec![]),
        (
            "tokenizer.json",
            with("/normalizer", regex_replace("(a+)+(?=[cd])")),
            vec!["`(a+)+(?=[cd])`", "steps"],
        ),
        (
            "tokenizer.json",
            with("/normalizer", replace("a", &"b".repeat(1_000_000))),
            vec!["adds more than"],
        ),
        ("tokenizer.json", sequence(vec![replace("a", "aa"); 40]), vec!["adds more than"]),
        (
            "tokenizer.json",
            sequence(vec![json!({"type": "Prepend", "prepend": "a".repeat(900_000)}); 4]),
            vec!["adds more than"],
        ),
        (
            "tokenizer.json",
            with("/pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
            vec!["broke off"],
        ),
    ];
    let folder = Folder::new();
    for (name, bytes, says) in cases {
        let output = folder.try_out(name, &bytes);

        let said = said(&output);
        if says.is_empty() {
            continue; // It may be found at once that there is no match.
        }
        assert_eq!(output.status.code(), Some(1), "{says:?}: {said}");
        for words in row.iter().chain(&says).chain(&[name]) {
            assert!(said.contains(words), "`{words}` is not in: {said}");
        }
    }
}

/// An automaton runs a pattern without look-around in as many steps as there are characters.
#[test]
fn a_pattern_that_would_take_steps_without_end_is_run_by_an_automaton() {
    let folder = Folder::new();
    for bytes in
        [split("(a+)+$"), split("(a|aa)+[cd]"), with("/normalizer", regex_replace("(a+)+$"))]
    {
        let output = folder.try_out("tokenizer.json", &bytes);

        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn a_file_larger_than_any_tokenizer_is_not_read_to_its_end() {
    let folder = Folder::new();
    let large = fs::File::create(folder.path("tokenizer.json")).unwrap();
    large.set_len(10 << 30).unwrap();

    let output =
        folder.run(&["tokenize", "--tokenizer", "tokenizer.json", "--input", "demo/corpus"]);

    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output)
            .contains("tokenizer.json: not a tokenizer that can be used: it is larger than 128 MB")
    );
}

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % n.max(1) as u64).unwrap()
    }
}

#[test]
fn random_changes_of_a_file_end_with_ids_or_an_error() {
    let folder = Folder::new();
    let mut file = small();
    file["added_tokens"] = token(3, "<s>");
    file["normalizer"] = replace(" ", "▁");
    file["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": "a+|\\s+"}, "behavior": "Isolated", "invert": false});
    let json = file.to_string().into_bytes();
    let pieces = model(&["<unk>", "a", "aa", "▁", "▁a", "é"]);
    let mut random = Random(11);
    for number in 0..60 {
        let (name, whole) =
            if number % 2 == 0 { ("tokenizer.json", &json) } else { ("tokenizer.model", &pieces) };
        let mut bytes = whole.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                2 => drop(bytes.remove(at)),
                3 => drop(bytes.splice(at..at, *b"99999")),
                _ => bytes.truncate(at.max(1)),
            }
        }
        // What every run owes is looked at there.
        folder.try_out(name, &bytes);
    }
}

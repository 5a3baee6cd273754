//! Every model next to that of `tokenizers`.

use proptest::prelude::*;
use ratdata_tests::kinds;
use serde_json::{Value, json};

use super::texts::ANY;
use super::{Both, file};

/// Words whose parts are pieces, and parts that are pieces of others.
const PIECES: [&str; 40] = [
    "a", "b", "c", "d", "e", "é", "中", "文", "1", "2", " ", "▁", "▁a", "▁ab", "ab", "abc", "bc",
    "cd", "de", "abcd", "ea", "éa", "中文", "12", "121", ".", ",", "!", "▁the", "the", "th", "t",
    "h", "<", ">", "s", "l", "ll", "😀", "Ġ",
];

fn ids(pieces: &[&str]) -> Value {
    pieces.iter().zip(0..).map(|(piece, id)| ((*piece).to_owned(), Value::from(id))).collect()
}

fn word_piece(most: usize) -> Value {
    let within: Vec<String> = PIECES.iter().map(|piece| format!("##{piece}")).collect();
    let mut pieces = vec!["[UNK]"];
    pieces.extend(PIECES);
    pieces.extend(within.iter().map(String::as_str).filter(|piece| *piece != "##b"));
    json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": most, "vocab": ids(&pieces)})
}

fn word_level() -> Value {
    let mut pieces = vec!["<unk>"];
    pieces.extend(PIECES);
    json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": ids(&pieces)})
}

/// Scores with ties, also between ways of different numbers of pieces.
fn unigram(byte_fallback: bool, least: f64) -> Value {
    let mut pieces: Vec<(String, f64)> = vec![("<unk>".into(), 0.0)];
    let scores = [-1.0, -2.0, -3.0, -4.5, -0.1, -0.2, -0.3, least, -7.0];
    pieces.extend(
        PIECES.iter().enumerate().map(|(place, piece)| ((*piece).to_owned(), scores[place % 9])),
    );
    pieces.push(("ab".into(), -2.5));
    pieces.extend((0..=u8::MAX).map(|byte| (format!("<0x{byte:02X}>"), -6.0)));
    json!({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": byte_fallback})
}

/// Merges that compete, some of which become the same piece by other ways.
fn bpe(options: &Value) -> Value {
    let prefix = options["continuing_subword_prefix"].as_str().unwrap_or("");
    let suffix = options["end_of_word_suffix"].as_str().unwrap_or("");
    let letters = ["a", "b", "c", "d", "e", "t", "h", "Ġ", "▁", "1", "Ã", "©"];
    let pairs = [
        ("a", "b"),
        ("b", "c"),
        ("ab", "c"),
        ("a", "bc"),
        ("c", "d"),
        ("abc", "d"),
        ("ab", "cd"),
        ("Ġ", "a"),
        ("▁", "a"),
        ("▁a", "b"),
        ("t", "h"),
        ("th", "e"),
        ("Ã", "©"),
        ("1", "1"),
        ("11", "1"),
        ("d", "e"),
    ];
    let mut pieces: Vec<String> = vec!["<unk>".into()];
    let mut merges = Vec::new();
    let mut add = |piece: String| {
        if !pieces.contains(&piece) {
            pieces.push(piece);
        }
    };
    for first in ["", prefix] {
        for last in ["", suffix] {
            for letter in letters {
                add(format!("{first}{letter}{last}"));
            }
            for (left, right) in pairs {
                add(format!("{first}{left}{right}{last}"));
                add(format!("{first}{left}"));
                add(format!("{prefix}{right}{last}"));
                merges.push((format!("{first}{left}"), format!("{prefix}{right}{last}")));
            }
        }
    }
    (0..=u8::MAX).filter(|byte| *byte != 0x9f).for_each(|byte| add(format!("<0x{byte:02X}>")));
    let names: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let mut model =
        json!({"type": "BPE", "vocab": ids(&names), "merges": merges, "unk_token": "<unk>"});
    for (name, value) in options.as_object().unwrap() {
        model[name] = value.clone();
    }
    model
}

fn models() -> Vec<Value> {
    vec![
        word_piece(100),
        word_piece(5),
        word_level(),
        unigram(false, -9.0),
        unigram(true, -5.0),
        unigram(true, 30.0),
        bpe(&json!({})),
        bpe(&json!({"fuse_unk": true})),
        bpe(&json!({"byte_fallback": true, "fuse_unk": true})),
        bpe(&json!({"byte_fallback": true, "unk_token": null, "ignore_merges": true})),
        bpe(&json!({"unk_token": null})),
        bpe(&json!({"end_of_word_suffix": "</w>"})),
        bpe(
            &json!({"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "fuse_unk": true}),
        ),
    ]
}

fn files() -> Vec<Value> {
    let cuts = [
        Value::Null,
        json!({"type": "BertPreTokenizer"}),
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
    ];
    let whole = models()
        .into_iter()
        .flat_map(|model| cuts.clone().map(|cut| file(&Value::Null, &cut, &model)));
    let bert = kinds::normalizers()
        .into_iter()
        .map(|step| file(&step, &json!({"type": "BertPreTokenizer"}), &word_piece(9)));
    let cut = kinds::pre_tokenizers()
        .into_iter()
        .map(|cut| file(&json!({"type": "NFD"}), &cut, &unigram(true, -8.0)));
    whole.chain(bert).chain(cut).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any text has the ids of `tokenizers` in every model.
    #[test]
    fn any_text_has_the_ids_of_tokenizers(
        texts in proptest::collection::vec(ANY, 1..4),
        words in "([abcdeth1é中文<>sl\u{1f600}]{1,9}[ .,!]{0,2}){0,20}",
    ) {
        thread_local! {
            static BOTH: std::cell::RefCell<Vec<Both>> =
                std::cell::RefCell::new(files().iter().map(Both::of).collect());
        }
        BOTH.with_borrow_mut(|all| for both in all {
            both.check(&words);
            for text in &texts {
                both.check(text);
            }
        });
    }
}

#[test]
fn a_long_unit_has_the_ids_of_tokenizers() {
    let text = "abcdeab 中文12the😀x".repeat(300);
    for model in models() {
        let mut both = Both::of(&file(&Value::Null, &Value::Null, &model));
        both.check(&text);
    }
}

#[test]
fn without_an_unknown_piece_the_oracle_is_asked() {
    let no_unknown = |mut model: Value| {
        model["unk_token"] = "[NONE]".into();
        model["unk_id"] = Value::Null;
        model
    };
    for model in [word_piece(9), word_level(), unigram(false, -9.0), bpe(&json!({}))] {
        let mut both = Both::of(&file(&Value::Null, &Value::Null, &no_unknown(model.clone())));

        assert_eq!(both.ids("x", false), None, "{model}");
        assert!(both.oracle.encode_fast("x", false).is_err(), "{model}");
        both.check("a");
    }
}

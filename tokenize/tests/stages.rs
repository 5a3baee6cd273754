//! Files that the engine does not cover: the stages run them, with the ids of Hugging Face `tokenizers`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::str::FromStr;

use ratdata_tokenize::tokenizer::{EncodeError, SpecialInText, Tokenizer, TokenizerError};
use serde_json::{Value, json};

fn load(file: &Value) -> Result<Tokenizer, TokenizerError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.keep().join("tokenizer.json");
    File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();
    Tokenizer::load(&path)
}

fn file(normalizer: &Value, pre_tokenizer: &Value, model: &Value) -> Value {
    let token = |id: u32, content: &str, special: bool, lstrip: bool| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": lstrip, "rstrip": false,
            "normalized": !special, "special": special})
    };
    json!({"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [token(90, "[MASK]", true, true), token(91, "Hello", false, false)],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": null, "model": model})
}

const PIECES: [&str; 16] = [
    "[UNK]", "h", "e", "l", "o", "he", "llo", "##l", "##o", "##lo", "▁", "▁he", "hello", "w</w>",
    "o</w>", "lo</w>",
];

fn vocab() -> Value {
    PIECES.iter().zip(0..).map(|(piece, id)| ((*piece).to_owned(), Value::from(id))).collect()
}

fn word_piece() -> Value {
    json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": vocab()})
}

fn unigram() -> Value {
    let vocab: Vec<Value> =
        PIECES.iter().zip(0..).map(|(piece, n)| json!([piece, -1.5 - f64::from(n)])).collect();
    json!({"type": "Unigram", "unk_id": 0, "vocab": vocab})
}

/// Files of each kind, also with the names and fields of older versions.
fn files() -> Vec<Value> {
    let word_level = json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocab()});
    let suffixed = json!({"type": "BPE", "unk_token": "[UNK]", "end_of_word_suffix": "</w>", "vocab": vocab(),
        "merges": ["h e", "l o</w>"]});
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true});
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true});
    let untyped = json!({"clean_text": true, "handle_chinese_chars": true, "lowercase": true, "type": "Bert"});
    let white = json!({"type": "WhitespaceSplit"});
    vec![
        file(&bert, &json!({"type": "BertPreTokenizer"}), &word_piece()),
        file(&untyped, &json!({"type": "Whitespace"}), &word_piece()),
        file(&json!({"type": "NFKC"}), &metaspace, &unigram()),
        file(&Value::Null, &Value::Null, &unigram()),
        file(&json!({"type": "Lowercase"}), &white, &word_level),
        file(&json!({"type": "Lowercase"}), &white, &suffixed),
    ]
}

const TEXTS: [&str; 7] = [
    "",
    "hello hellow",
    "Héllo HELLO [MASK] hello[MASK]",
    "Hello  [MASK]ohe lo\n",
    "ｈｅｌｌｏ\u{301} 中 x",
    "he[mask]lo",
    "\u{1}hello",
];

#[test]
fn every_kind_of_file_has_the_ids_of_tokenizers() {
    for file in files() {
        let ours = load(&file).unwrap();
        assert_eq!(ours.uncovered(), None, "{file}");
        assert!(ours.memory() > 0);
        for specials in [SpecialInText::Parse, SpecialInText::Plain] {
            let mut oracle = tokenizers::Tokenizer::from_str(&file.to_string()).unwrap();
            oracle.set_encode_special_tokens(specials == SpecialInText::Plain);
            let mut encoder = ours.encoder(specials);
            for text in TEXTS {
                let expected = oracle.encode_fast(text, false).unwrap().get_ids().to_vec();
                let mut ids: Vec<u32> = vec![7];
                encoder.encode_into(text, &mut ids).unwrap();
                assert_eq!(ids[1..], expected, "{text:?}, {specials:?}, {file}");
                assert_eq!(ours.oracle().encode(text, specials).unwrap(), expected);
            }
        }
    }
}

#[test]
fn a_special_token_in_the_text_can_be_an_error() {
    for file in files() {
        let mut encoder = load(&file).unwrap().encoder(SpecialInText::Error);
        let refused = encoder.encode_into::<u32>("hello [MASK]", &mut Vec::new()).unwrap_err();

        assert!(matches!(refused, EncodeError::Special { at: 6, .. }), "{refused}");
        encoder.encode_into::<u32>("hello", &mut Vec::new()).unwrap();
    }
}

#[test]
fn a_text_without_ids_has_the_error_of_tokenizers() {
    let mut file = file(&Value::Null, &Value::Null, &unigram());
    file["model"]["unk_id"] = Value::Null;
    let ours = load(&file).unwrap();
    let mut ids: Vec<u32> = vec![7];

    let refused = ours.encoder(SpecialInText::Parse).encode_into("hex", &mut ids).unwrap_err();

    assert!(matches!(refused, EncodeError::Oracle { .. }), "{refused}");
    assert!(refused.to_string().contains("unk_id"), "{refused}");
    assert_eq!(ids, [7]);
    assert_eq!(
        ours.encode("he").unwrap(),
        ours.oracle().encode("he", SpecialInText::Parse).unwrap()
    );
}

#[test]
fn a_normalizer_or_pattern_without_end_is_an_error() {
    let double = json!({"type": "Replace", "pattern": {"String": "h"}, "content": "hh"});
    let doubles = json!({"type": "Sequence", "normalizers": vec![double; 40]});
    let split = json!({"type": "Split", "pattern": {"Regex": "(a+)+(?=[cd])"}, "behavior": "Isolated", "invert": false});
    let many = "a".repeat(60) + "!";
    for (file, text) in [
        (file(&doubles, &Value::Null, &word_piece()), "hello"),
        (file(&Value::Null, &split, &word_piece()), many.as_str()),
    ] {
        let refused = load(&file).unwrap().encode(text).unwrap_err();

        assert!(matches!(refused, EncodeError::Bound { .. }), "{refused}");
    }
}

#[test]
fn what_tokenizers_refuses_is_refused() {
    let without = |mut file: Value, field: &str| {
        file["model"].as_object_mut().unwrap().remove(field).unwrap();
        file
    };
    let word_piece = file(&Value::Null, &Value::Null, &word_piece());
    let mut far = file(&Value::Null, &Value::Null, &unigram());
    far["model"]["unk_id"] = 99.into();
    let mut unknown = word_piece.clone();
    unknown["decoder"] = json!({"type": "Nonsense"});
    for file in [
        without(word_piece.clone(), "max_input_chars_per_word"),
        without(word_piece, "unk_token"),
        far,
        unknown,
        file(
            &json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAA="}),
            &Value::Null,
            &unigram(),
        ),
    ] {
        match load(&file) {
            Err(TokenizerError::Refused { .. }) => {}
            other => {
                // The map of one unit is well formed, and reads beyond its end: an error of each text.
                let refused = other.unwrap().encode("hello").unwrap_err();
                assert!(matches!(refused, EncodeError::Broken { .. }), "{refused}");
            }
        }
    }
}

//! Tokens over the text that they stand for, with tokenizers that the engine leaves to the oracle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use ratdata_tokenize::tokenizer::{AlignedIds, SpecialInText, Tokenizer};
use serde_json::{Map, Value, json};

/// The characters that stand for bytes in byte-level vocabularies, as GPT-2 has them.
fn byte_chars() -> Vec<char> {
    let mut next = 256;
    (0..=255_u8)
        .map(|byte| {
            if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).unwrap()
            }
        })
        .collect()
}

/// A byte-level vocabulary with a few merges, and an added token.
fn byte_level(normalizer: &Value, pre_tokenizer: &Value) -> Value {
    let mut pieces: Vec<String> = byte_chars().into_iter().map(String::from).collect();
    let merges = [("Ġ", "w"), ("h", "i"), ("o", "r"), ("Ġw", "or"), ("Ċ", "Ċ"), ("Ġ", "Ġ")];
    pieces.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let vocab: Map<String, Value> = pieces.into_iter().zip((0..).map(Value::from)).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added(vocab.len(), "<|turn|>"), added(vocab.len() + 1, "<|endoftext|>")],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "vocab": vocab,
            "merges": merges.map(|(left, right)| format!("{left} {right}"))
        }
    })
}

fn added(id: usize, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    })
}

fn split_regex() -> Value {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
        byte_level
    ]})
}

fn gpt2_regex() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})
}

fn word_piece() -> Value {
    let pieces = ["[UNK]", "[SEP]", "hi", "wor", "##ld", "e", "##e", ":", "a", "u", "!"];
    let vocab: Map<String, Value> =
        pieces.iter().map(ToString::to_string).zip((0..).map(Value::from)).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added(0, "[UNK]"), added(1, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}
    })
}

/// Returns the ids of a text, and what of the text each stands for.
fn aligned(folder: &Path, file: &Value, text: &str) -> (Vec<u32>, Vec<(usize, usize)>) {
    let path = folder.join("tokenizer.json");
    File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();
    let tokenizer = Tokenizer::load(&path).unwrap();
    let mut encoder = tokenizer.encoder(SpecialInText::Parse);
    let AlignedIds { ids, ranges: places } =
        tokenizer.encode_aligned(text, &mut encoder).unwrap().unwrap();
    let mut plain: Vec<u32> = Vec::new();
    encoder.encode_into(text, &mut plain).unwrap();
    assert_eq!(ids, plain, "the ids are those without places");
    assert_eq!(ids.len(), places.len());
    (ids, places.into_iter().map(|place| (place.start, place.end)).collect())
}

#[test]
fn byte_level_tokens_of_any_pattern_cover_their_text_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let nfc = json!({"type": "NFC"});
    let text = "<|turn|>hi  world\n\nné 😀 it's<|turn|> 1234  \n";
    for (name, file) in [
        ("GPT-2", byte_level(&Value::Null, &gpt2_regex())),
        ("Split", byte_level(&Value::Null, &split_regex())),
        ("NFC", byte_level(&nfc, &gpt2_regex())),
        ("NFC and Split", byte_level(&nfc, &split_regex())),
    ] {
        let (_, places) = aligned(folder.path(), &file, text);

        let mut end = 0;
        for &(from, to) in &places {
            // The bytes of one character may all stand for the whole of it.
            assert!(from <= end && to >= end && from < to, "{name}: {places:?}");
            end = to;
        }
        assert_eq!(end, text.len(), "{name}");
    }
}

#[test]
fn a_character_that_a_normalizer_joins_lies_where_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let file = byte_level(&json!({"type": "NFC"}), &gpt2_regex());

    let (_, places) = aligned(folder.path(), &file, "ne\u{301}e");

    assert_eq!(places, [(0, 1), (1, 2), (1, 2), (4, 5)]);
}

#[test]
fn word_pieces_stand_for_words_and_spaces_for_nothing() {
    let folder = tempfile::tempdir().unwrap();

    let (ids, places) = aligned(folder.path(), &word_piece(), "a: Hi WORLD  zz É[SEP]");

    assert_eq!(ids, [8, 7, 2, 3, 4, 0, 5, 1]);
    assert_eq!(places, [(0, 1), (1, 2), (3, 5), (6, 9), (9, 11), (13, 15), (16, 18), (18, 23)]);
}

//! Small vocabularies with ranks against the slow twin, and what is refused.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ratdata_schemas::Semantics;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tokenizer::{Encoding, SpecialInText, Tokenizer, TokenizerError};

/// Pieces after the 256 bytes. Some can be reached in several ways, and some in none.
const PIECES: [&str; 26] = [
    "th", "he", "the", " t", " the", "in", "ing", "aa", "aaa", "ab", "abab", "ba", "12", "123",
    "  ", "    ", "\n\n", "é", "中文", "'s", " a", "cde", "ab c", "ſ", "e\u{301}", "!!",
];

fn pieces() -> Vec<Vec<u8>> {
    let bytes = (0..=u8::MAX).map(|byte| vec![byte]);
    bytes.chain(PIECES.map(|piece| piece.as_bytes().to_vec())).collect()
}

fn rank_file() -> String {
    pieces().iter().zip(0..).fold(String::new(), |mut text, (piece, rank)| {
        writeln!(text, "{} {rank}", STANDARD.encode(piece)).unwrap();
        text
    })
}

fn tekken() -> Value {
    let vocab: Vec<Value> = pieces()
        .iter()
        .zip(0..)
        .map(|(piece, rank)| {
            json!({"rank": rank, "token_bytes": STANDARD.encode(piece), "token_str": null})
        })
        .collect();
    json!({
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            "num_vocab_tokens": vocab.len(), "default_vocab_size": vocab.len() + 30,
            "default_num_special_tokens": 30, "version": "v3",
        },
        "vocab": vocab,
    })
}

fn written(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    (folder, path)
}

fn all() -> Vec<Tokenizer> {
    let names = Encoding::ALL.map(|encoding| format!("{}.tiktoken", encoding.name()));
    let files = names.iter().map(|name| (name.as_str(), rank_file()));
    let files = files.chain([("tekken.json", tekken().to_string())]);
    files.map(|(name, text)| Tokenizer::load(written(name, &text).1).unwrap()).collect()
}

fn check(tokenizer: &Tokenizer, text: &str) {
    for specials in [SpecialInText::Parse, SpecialInText::Plain] {
        let mut ids: Vec<u32> = Vec::new();
        tokenizer.encoder(specials).encode_into(text, &mut ids).unwrap();

        let expected = tokenizer.oracle().encode(text, specials).unwrap();
        assert_eq!(ids, expected, "{} on {text:?}", tokenizer.path().display());
        assert_eq!(tokenizer.decode(&ids), text, "{}", tokenizer.path().display());
    }
}

/// Loads each tokenizer and keeps its folder, which the slow twin reads again.
fn kept() -> Vec<(TempDir, Tokenizer)> {
    let names = Encoding::ALL.map(|encoding| format!("{}.tiktoken", encoding.name()));
    let files = names.map(|name| (name, rank_file()));
    files
        .into_iter()
        .chain([("tekken.json".to_owned(), tekken().to_string())])
        .map(|(name, text)| {
            let (folder, path) = written(&name, &text);
            (folder, Tokenizer::load(path).unwrap())
        })
        .collect()
}

#[test]
fn every_character_has_the_ids_of_the_slow_twin_in_four_surroundings() {
    let tokenizers = kept();
    // All of the first planes in turn, and those beyond them.
    let points = (0..0x3_4000).step_by(61).chain((0x3_4000..0x11_0000).step_by(1009));
    let points: Vec<char> = points.filter_map(char::from_u32).collect();
    for some in points.chunks(64) {
        let text: String =
            some.iter().flat_map(|c| [*c, 'a', *c, 'b', ' ', *c, ' ', *c, *c, '\n']).collect();
        for (_, tokenizer) in &tokenizers {
            check(tokenizer, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_the_ids_of_the_slow_twin(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(PIECES.to_vec()),
                proptest::sample::select(vec![
                    "<|endoftext|>", "<|start|>", "<s>", "[INST]", "<SPECIAL_25>", " ", "\n", "ababab", "1234567",
                    "'LL", "\u{3000}", "HTTPServer", "don't", "\r\n ",
                ]),
            ],
            0..40,
        ),
        odd in "\\PC{0,6}",
    ) {
        let text = parts.concat() + &odd;
        for (_, tokenizer) in kept() {
            check(&tokenizer, &text);
        }
    }
}

#[test]
fn special_tokens_and_pieces_have_the_ids_of_their_programs() {
    let [r50k, .., harmony, tekken] = &all()[..] else { unreachable!() };

    assert_eq!(r50k.encode("the<|endoftext|>").unwrap(), [258, 50_256]);
    assert_eq!((r50k.bos(), r50k.eos(), r50k.eos_guesses()), (None, Some(50_256), &[][..]));
    assert_eq!(harmony.encode("<|start|>ab<|reserved_201087|>").unwrap(), [200_006, 265, 201_087]);
    assert_eq!(harmony.vocab_size(), 201_088);
    assert_eq!(tekken.encode("<s>the[INST]<SPECIAL_29>").unwrap(), [1, 288, 3, 29]);
    assert_eq!((tekken.bos(), tekken.eos(), tekken.unk()), (Some(1), Some(2), Some(0)));
    assert_eq!(r50k.record("x").semantics, Semantics::Tiktoken);
    assert_eq!(tekken.record("x").semantics, Semantics::MistralCommon);
}

#[test]
fn the_name_of_a_rank_file_is_a_part_of_its_fingerprint() {
    let [.., o200k, harmony, _] = &all()[..] else { unreachable!() };

    assert_ne!(o200k.fingerprint(), harmony.fingerprint());
}

#[test]
fn a_rank_file_of_an_unknown_name_says_which_names_there_are() {
    let (_folder, path) = written("qwen.tiktoken", &rank_file());

    let refused = Tokenizer::load(path).unwrap_err();

    let said = refused.to_string();
    assert!(matches!(refused, TokenizerError::Encoding { .. }), "{said}");
    assert!(said.contains("found `qwen.tiktoken`, expected `r50k_base.tiktoken`, "), "{said}");
    assert!(refused.hint().unwrap().contains("name the file after its encoding"), "{said}");
}

#[test]
fn what_contradicts_itself_is_refused_with_its_reason() {
    let line = |piece: &[u8], rank: u32| format!("{} {rank}\n", STANDARD.encode(piece));
    let ranks = rank_file();
    let cases = [
        (ranks.clone() + &line(b"zz", 7), "have the id 7"),
        (ranks.clone() + &line(b"the", 900), "the piece `the` has the ids 258 and 900"),
        (
            ranks.clone() + &line(b"zz", 50_256),
            "`<|endoftext|>` has the id 50256, which a piece has",
        ),
        (ranks.clone() + "AA== x\n", "line 283 is `AA== x`"),
        (ranks.clone() + &line(b"", 900), "the piece of id 900 is empty"),
        (ranks.replacen("AA== 0\n", "", 1), "no piece is the byte 0x00 alone"),
    ];
    for (text, says) in cases {
        let (_folder, path) = written("r50k_base.tiktoken", &text);
        let said = Tokenizer::load(path).unwrap_err().to_string();

        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_tekken_file_that_contradicts_itself_is_refused_with_its_reason() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 7] = [
        (|file| file["vocab"][3]["rank"] = 4.into(), "piece 3 of `vocab` has the rank 4"),
        (|file| file["vocab"][3]["token_bytes"] = "AA==".into(), "expected the byte 3"),
        (|file| file["vocab"][300 - 40]["token_bytes"] = "?".into(), "expected Base64"),
        (|file| file["config"]["default_vocab_size"] = 9000.into(), "`vocab` has 282 pieces"),
        (|file| file["config"]["version"] = "v11".into(), "has no `special_tokens`"),
        (|file| file["config"]["pattern"] = r"\p{N}{1,3}+|[^x]|x".into(), "in `tiktoken`"),
        (|file| file["config"]["pattern"] = "[^x]".into(), "does not match every character"),
    ];
    for (change, says) in cases {
        let mut file = tekken();
        change(&mut file);
        let (_folder, path) = written("tekken.json", &file.to_string());

        let said = Tokenizer::load(path).unwrap_err().to_string();

        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn listed_special_tokens_count_and_the_others_are_fillers() {
    let mut file = tekken();
    file["special_tokens"] = json!([
        {"rank": 0, "token_str": "<unk>", "is_control": true},
        {"rank": 1, "token_str": "<s>", "is_control": true},
        {"rank": 2, "token_str": "</s>", "is_control": true},
        {"rank": 3, "token_str": "<mine>", "is_control": false},
    ]);
    let (_folder, path) = written("tekken.json", &file.to_string());

    let tokenizer = Tokenizer::load(path).unwrap();

    assert_eq!(tokenizer.encode("<mine><SPECIAL_4>").unwrap(), [3, 4]);
}

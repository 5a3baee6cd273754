//! Added tokens have the ids that Hugging Face `tokenizers` gives them, holes, duplicates and all.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proptest::prelude::*;
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};
use serde_json::{Value, json};

/// Loads a file in both ways.
fn load(folder: &Path, file: &Value) -> (Tokenizer, tokenizers::Tokenizer) {
    let path: PathBuf = folder.join("tokenizer.json");
    fs::File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();
    let oracle = tokenizers::Tokenizer::from_str(&file.to_string()).unwrap();
    (Tokenizer::load(&path).unwrap(), oracle)
}

/// Compares ids of texts, of tokens, and the texts of ids.
fn same(ours: &Tokenizer, oracle: &tokenizers::Tokenizer, texts: &[String]) {
    for text in texts {
        for specials in [SpecialInText::Parse, SpecialInText::Plain] {
            let mut oracle = oracle.clone();
            oracle.set_encode_special_tokens(specials == SpecialInText::Plain);
            let expected = oracle.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();

            let mut ids: Vec<u32> = Vec::new();
            ours.encoder(specials).encode_into(text, &mut ids).unwrap();

            assert_eq!(ids, expected, "{text:?}, {specials:?}, {:?}", ours.uncovered());
            assert!(ids.iter().all(|&id| id < ours.vocab_size()));
        }
    }
    let all: Vec<u32> = (0..ours.vocab_size()).collect();
    assert_eq!(ours.decode(&all), oracle.decode(&all, false).unwrap());
    let largest = oracle.get_vocab(true).into_values().max().unwrap();
    assert!(ours.vocab_size() > largest, "{} for the id {largest}", ours.vocab_size());
    for (&id, token) in oracle.get_added_vocabulary().get_added_tokens_decoder() {
        assert_eq!(ours.piece(id), Some(token.content.as_str()));
        let special = oracle.get_added_vocabulary().is_special_token(&token.content);
        assert_eq!(ours.is_special(id), special, "{token:?}");
    }
}

fn added(id: u32, content: &str, special: bool, normalized: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": normalized, "special": special})
}

/// A file with Llama's reading of spaces over a few letters, whose pieces have these ids.
fn file(model: &Value, added: &[Value], style: usize) -> Value {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let (normalizer, pre_tokenizer) = match style {
        0 => (replace, Value::Null),
        1 => (Value::Null, Value::Null),
        _ => (
            Value::Null,
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}),
        ),
    };
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": null, "model": model})
}

const PIECES: [&str; 10] = ["a", "b", "c", "▁", "ab", "bc", "abc", "▁a", "<unk>", "cc"];

fn bpe(ids: &[u32]) -> Value {
    let vocab: serde_json::Map<String, Value> =
        PIECES.iter().zip(ids).map(|(piece, &id)| ((*piece).to_owned(), id.into())).collect();
    json!({"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
        "merges": ["a b", "b c", "ab c", "▁ a"]})
}

fn unigram() -> Value {
    let vocab: Vec<Value> =
        PIECES.iter().zip(0..).map(|(piece, n)| json!([piece, -f64::from(n)])).collect();
    json!({"type": "Unigram", "unk_id": 8, "vocab": vocab})
}

#[test]
fn a_token_beyond_the_vocabulary_has_the_next_id() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<u32> = (0..10).collect();
    let tokens = [added(70_000, "<far>", true, false), added(80_000, "<farther>", true, false)];

    let (ours, oracle) = load(folder.path(), &file(&bpe(&ids), &tokens, 0));

    same(&ours, &oracle, &["ab<far>c <farther>".to_owned()]);
    assert_eq!((ours.id_of("<far>"), ours.id_of("<farther>")), (Some(10), Some(11)));
    assert_eq!(ours.vocab_size(), 12);
    assert_eq!(
        ours.notes(),
        [
            "it gives the id 70000 to its added token `<far>`, which has the id 10 here, as in Hugging Face \
          `tokenizers`, and 1 more have other ids, too"
        ]
    );
}

#[test]
fn a_token_in_a_hole_may_take_the_id_of_a_piece() {
    let folder = tempfile::tempdir().unwrap();
    // Ten pieces, the last of which has the id 10: the first added token takes it.
    let ids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10];

    let (ours, oracle) =
        load(folder.path(), &file(&bpe(&ids), &[added(50, "<x>", false, false)], 1));

    same(&ours, &oracle, &["ab<x>cc".to_owned()]);
    assert_eq!(ours.piece(10), Some("<x>"));
}

#[test]
fn a_token_that_takes_the_id_of_a_normalized_one_is_found_by_the_text_of_that() {
    let folder = tempfile::tempdir().unwrap();
    // The space gets the id 10, which is the id of the piece `ab`, too.
    let ids = [0, 1, 8, 3, 10, 5, 7, 11, 2, 9];
    let tokens = [added(0, " ", false, true), added(0, "ab", false, true)];

    let (ours, oracle) = load(folder.path(), &file(&bpe(&ids), &tokens, 0));

    same(&ours, &oracle, &["▁".to_owned(), "ab c".to_owned()]);
}

#[test]
fn truncation_and_padding_are_ignored_with_a_note_and_null_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<u32> = (0..10).collect();
    let plain = file(&bpe(&ids), &[], 0);
    let mut asking = plain.clone();
    asking["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    asking["padding"] = json!({"strategy": {"Fixed": 8}, "direction": "Right",
        "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"});

    let (quiet, oracle) = load(folder.path(), &plain);
    let (noting, _) = load(folder.path(), &asking);

    same(&noting, &oracle, &["ab c ab abc cc a".to_owned()]);
    assert!(quiet.notes().is_empty());
    assert_eq!(noting.notes().len(), 2);
    assert!(noting.notes()[0].starts_with("its `truncation` is ignored"), "{:?}", noting.notes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any ids of pieces and any added tokens: ids and texts are those of `tokenizers`.
    #[test]
    fn added_tokens_are_those_of_the_oracle(
        mut ids in Just((0..14_u32).collect::<Vec<_>>()).prop_shuffle(),
        tokens in proptest::collection::vec(
            ((0..20_u32).prop_union(69_990..70_010), "(<x>|<y>|<xy>|[abc<>x ]{0,4}|ab|cc|▁a)", any::<bool>(), any::<bool>()),
            0..8,
        ),
        texts in proptest::collection::vec("([abc ]|<x>|<y>|<xy>|é|▁){0,12}", 1..6),
        style in 0..4_usize,
        is_mixed in any::<bool>(),
    ) {
        ids.truncate(PIECES.len());
        let tokens: Vec<Value> = tokens
            .iter()
            .map(|(id, content, special, normalized)| added(*id, content, *special, *normalized && is_mixed))
            .collect();
        let model = if style == 3 { unigram() } else { bpe(&ids) };
        let folder = tempfile::tempdir().unwrap();

        let (ours, oracle) = load(folder.path(), &file(&model, &tokens, style.min(2)));

        same(&ours, &oracle, &texts);
    }
}

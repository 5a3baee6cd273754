//! Every pre-tokenizer next to that of `tokenizers`.

use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

use super::super::compile;
use super::super::pre_tokenizers::{Pieces, PreTokenizers};
use super::texts::{ANY, all_characters, surrounded};

const BEHAVIOURS: [&str; 5] =
    ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

fn split(pattern: &Value, behaviour: &str, invert: bool) -> Value {
    json!({"type": "Split", "pattern": pattern, "behavior": behaviour, "invert": invert})
}

fn metaspace(replacement: &str, scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": split})
}

fn byte_level(prefix: bool, regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
}

/// Each pre-tokenizer, and what real tokenizers make of them.
pub(in super::super) fn kinds() -> Vec<Value> {
    let one = |name: &str| json!({"type": name});
    let sequence = |steps: &[Value]| json!({"type": "Sequence", "pretokenizers": steps});
    let digits = |individual: bool| json!({"type": "Digits", "individual_digits": individual});
    let [.., clip, bloom] = patterns();
    let mut kinds = vec![
        one("BertPreTokenizer"),
        one("Whitespace"),
        one("WhitespaceSplit"),
        one("UnicodeScripts"),
        digits(true),
        digits(false),
        json!({"type": "CharDelimiterSplit", "delimiter": " "}),
        json!({"type": "CharDelimiterSplit", "delimiter": "é"}),
        json!({"type": "FixedLength", "length": 3}),
        metaspace("▁", "always", true),
        metaspace("▁", "first", true),
        metaspace("_", "never", true),
        metaspace("▁", "always", false),
        metaspace("▁", "first", false),
        byte_level(true, true),
        byte_level(false, true),
        byte_level(true, false),
        byte_level(false, false),
        sequence(&[one("WhitespaceSplit"), metaspace("▁", "first", true)]),
        sequence(&[digits(true), byte_level(false, true)]),
        sequence(&[
            json!({"type": "Punctuation", "behavior": "Contiguous"}),
            byte_level(false, true),
            digits(false),
            split(&json!({"Regex": "[0-9][0-9][0-9]"}), "Isolated", false),
        ]),
        sequence(&[split(&bloom, "Isolated", false), byte_level(false, false)]),
        sequence(&[split(&clip, "Removed", true), byte_level(false, true)]),
        sequence(&[metaspace("▁", "first", true), metaspace("_", "first", true)]),
    ];
    kinds.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
    kinds.extend(patterns().map(|pattern| split(&pattern, "Isolated", false)));
    kinds
}

/// Patterns that automata run, that Oniguruma runs, and that match nothing at all.
fn patterns() -> [Value; 8] {
    [
        json!({"String": " "}),
        json!({"String": "ab"}),
        json!({"Regex": r"\w+|[^\w\s]+"}),
        json!({"Regex": r"\d{1,3}|\p{Lu}\p{Ll}*|[^\p{L}\d]?"}),
        json!({"Regex": r" ?\p{L}+|\s*[\r\n]+|\s+(?!\S)|\s+"}),
        json!({"Regex": r"(?=[A-Z])|é"}),
        json!({"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"}),
        json!({"Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+"}),
    ]
}

/// Every behaviour of every pattern.
fn behaviours() -> impl Iterator<Item = Value> {
    BEHAVIOURS.iter().flat_map(|behaviour| {
        let splits = patterns()
            .into_iter()
            .flat_map(|pattern| [false, true].map(|invert| split(&pattern, behaviour, invert)));
        splits.chain([json!({"type": "Punctuation", "behavior": behaviour})])
    })
}

struct Pair {
    json: Value,
    oracle: PreTokenizerWrapper,
    ours: PreTokenizers,
    pieces: Pieces,
}

impl Pair {
    fn of(json: Value) -> Self {
        let oracle: PreTokenizerWrapper = serde_json::from_value(json.clone()).unwrap();
        let mut steps = Vec::new();
        compile::pre_tokenizer(oracle.clone(), &mut steps).unwrap();
        Self { json, oracle, ours: PreTokenizers::new(steps), pieces: Pieces::default() }
    }

    fn check(&mut self, text: &str) {
        let mut expected = PreTokenizedString::from(text);
        self.oracle.pre_tokenize(&mut expected).unwrap();
        let expected = expected.get_splits(OffsetReferential::Original, OffsetType::None);
        let expected: Vec<&str> =
            expected.iter().map(|(piece, ..)| *piece).filter(|piece| !piece.is_empty()).collect();
        let first = text.chars().next().map(char::len_utf8);
        let (rewritten, pieces) = self.ours.apply(text, first, &mut self.pieces).unwrap();
        let ours: Vec<&str> = pieces.iter().map(|piece| &rewritten[piece.range()]).collect();
        assert_eq!(ours, expected, "{:?} by {}", text, self.json);
    }
}

/// Those that decide by what a character is.
fn deciding() -> Vec<Value> {
    let is_deciding = |kind: &Value| {
        let name = kind["type"].as_str().unwrap();
        match name {
            "Sequence" | "Metaspace" | "FixedLength" | "CharDelimiterSplit" => false,
            "ByteLevel" => kind["use_regex"] == true && kind["add_prefix_space"] == false,
            _ => kind["pattern"]["String"].is_null(),
        }
    };
    kinds().into_iter().filter(is_deciding).collect()
}

#[test]
fn every_character_is_cut_as_by_tokenizers() {
    let mut pairs: Vec<Pair> = deciding().into_iter().map(Pair::of).collect();
    for characters in all_characters() {
        for text in surrounded(&characters) {
            for pair in &mut pairs {
                pair.check(&text);
            }
        }
    }
}

proptest! {
    /// Any text is cut as by `tokenizers`.
    #[test]
    fn any_text_is_cut_as_by_tokenizers(text in ANY) {
        thread_local! {
            static PAIRS: std::cell::RefCell<Vec<Pair>> =
                std::cell::RefCell::new(kinds().into_iter().chain(behaviours()).map(Pair::of).collect());
        }
        PAIRS.with_borrow_mut(|pairs| pairs.iter_mut().for_each(|pair| pair.check(&text)));
    }
}

//! Every pre-tokenizer next to that of `tokenizers`.

use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

use super::super::compile;
use super::super::pre_tokenizers::{Pieces, PreTokenizers};
use super::texts::{ANY, all_characters};
use ratdata_tests::characters::surrounded;
use ratdata_tests::kinds::{patterns, pre_tokenizers as kinds, split};

const BEHAVIOURS: [&str; 5] =
    ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

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
    /// The same, with spaces left to the reader of a piece.
    unmarked: PreTokenizers,
    pieces: Pieces,
}

impl Pair {
    fn of(json: Value) -> Self {
        let oracle: PreTokenizerWrapper = serde_json::from_value(json.clone()).unwrap();
        let steps = || {
            let mut steps = Vec::new();
            compile::pre_tokenizer(oracle.clone(), &mut steps).unwrap();
            PreTokenizers::new(steps)
        };
        let (ours, mut unmarked) = (steps(), steps());
        unmarked.leave_marks();
        Self { json, oracle, ours, unmarked, pieces: Pieces::default() }
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
        let (rewritten, pieces) = self.unmarked.apply(text, first, &mut self.pieces).unwrap();
        let unit = |piece| self.unmarked.unit(rewritten, piece, &mut String::new()).to_owned();
        let unmarked: Vec<String> = pieces.iter().map(|&piece| unit(piece)).collect();
        assert_eq!(unmarked, expected, "{:?} by {}, without marks", text, self.json);
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

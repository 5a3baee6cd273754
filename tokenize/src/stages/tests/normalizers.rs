//! Every normalizer next to that of `tokenizers`.

use proptest::prelude::*;
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer as _, NormalizerWrapper, normalizer::Range};

use super::super::compile;
use super::super::normalizers::{Buffers, Normalizers};
use super::super::stop::Stop;
use super::texts::{ANY, all_characters};
use ratdata_tests::characters::surrounded;
use ratdata_tests::kinds::normalizers as kinds;

struct Pair {
    json: Value,
    oracle: NormalizerWrapper,
    ours: Normalizers,
    buffers: Buffers,
}

impl Pair {
    fn of(json: Value) -> Self {
        let oracle: NormalizerWrapper = serde_json::from_value(json.clone()).unwrap();
        let mut steps = Vec::new();
        compile::normalizer(oracle.clone(), &mut steps).unwrap();
        Self { json, oracle, ours: Normalizers::new(steps), buffers: Buffers::default() }
    }

    fn check(&mut self, text: &str, with_first: bool) {
        let mut expected = NormalizedString::from(text);
        self.oracle.normalize(&mut expected).unwrap();
        let first = with_first.then(|| text.chars().next().map_or(0, char::len_utf8));
        let (ours, first) = match self.ours.apply(text, first, &mut self.buffers) {
            Ok(done) => done,
            Err(Stop::Oracle) => return,
            Err(bound) => panic!("{bound:?}"),
        };
        assert_eq!(ours, expected.get(), "{:?} by {}", text, self.json);
        if let Some(first) = first {
            let of_first = |place: &usize| {
                let original = expected.convert_offsets(Range::Normalized(*place..=*place));
                original.is_some_and(|original| original.start == 0)
            };
            let expected = (0..expected.len()).take_while(of_first).count();
            assert_eq!(first, expected, "the first of {:?} by {}", text, self.json);
        }
    }
}

#[test]
fn every_character_is_normalized_as_by_tokenizers() {
    let mut pairs: Vec<Pair> = kinds().into_iter().map(Pair::of).collect();
    for characters in all_characters() {
        for text in surrounded(&characters) {
            for pair in &mut pairs {
                pair.check(&text, false);
            }
        }
    }
}

#[test]
fn every_character_that_begins_a_text_is_followed_by_what_it_becomes() {
    let mut pairs: Vec<Pair> = kinds().into_iter().map(Pair::of).collect();
    for character in all_characters().flatten().filter(|&character| character < '\u{4000}') {
        for pair in &mut pairs {
            pair.check(&format!("{character}\u{301}\u{1}a"), true);
            // Some maps remove a soft hyphen, and nothing else after the character.
            pair.check(&format!("{character}\u{ad}a"), true);
        }
    }
}

proptest! {
    /// Any text is normalized as by `tokenizers`, and the same of it stands for its first character.
    #[test]
    fn any_text_is_normalized_as_by_tokenizers(text in ANY) {
        for json in kinds() {
            Pair::of(json).check(&text, true);
        }
    }
}

#[test]
fn a_normalizer_that_changes_nothing_copies_nothing() {
    let text = "plain words of ascii, lower case";
    for json in kinds() {
        let mut pair = Pair::of(json.clone());
        let writes = ["Prepend", "ByteLevel", "Replace", "Sequence"]
            .contains(&json["type"].as_str().unwrap());
        let (ours, _) = pair.ours.apply(text, None, &mut pair.buffers).unwrap();
        assert!(writes || std::ptr::eq(ours, text), "{json}");
    }
}

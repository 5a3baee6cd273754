//! Every normalizer next to that of `tokenizers`.

use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::{NormalizedString, Normalizer as _, NormalizerWrapper, normalizer::Range};

use super::super::compile;
use super::super::models::character_map;
use super::super::normalizers::{Buffers, Normalizers};
use super::super::stop::Stop;
use super::texts::{ANY, all_characters, surrounded};

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |chunk: &[u8]| {
        let word = [0, 1, 2].map(|place| u32::from(chunk.get(place).copied().unwrap_or(0)));
        let word = word[0] << 16 | word[1] << 8 | word[2];
        let digit = |place: usize| {
            if place <= chunk.len() {
                char::from(DIGITS[(word >> (18 - 6 * place)) as usize & 63])
            } else {
                '='
            }
        };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(chunk).collect()
}

/// A character map with what real ones have: characters that become one, several or none, clusters of two
/// characters, and texts that begin with others.
pub(in super::super) fn precompiled() -> Value {
    let map = character_map(&[
        ("\t", " "),
        ("\n", " "),
        ("\r", " "),
        ("\u{1}", ""),
        ("\u{7f}", ""),
        ("\u{a0}", " "),
        ("\u{ad}", ""),
        ("\u{200b}", " "),
        ("\u{200d}", ""),
        ("Å", "A"),
        ("e\u{301}", "é"),
        ("e\u{323}", "ẹ"),
        ("ﬁ", "fi"),
        ("ﷺ", "صلى الله عليه وسلم"),
        ("½", "1⁄2"),
        ("ｶ", "カ"),
        ("ｶﾞ", "ガ"),
        ("カ\u{3099}", "ガ"),
        ("가", "ga"),
        ("\u{f900}", "豈"),
        ("\u{301}", ""),
        ("🇩🇪", "DE"),
    ]);
    json!({"type": "Precompiled", "precompiled_charsmap": base64(&map)})
}

pub(in super::super) fn kinds() -> Vec<Value> {
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let bert = |clean: bool, chinese: bool, strip: Value, lowercase: bool| {
        json!({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
            "strip_accents": strip, "lowercase": lowercase})
    };
    let sequence = |steps: &[Value]| json!({"type": "Sequence", "normalizers": steps});
    let one = |name: &str| json!({"type": name});
    vec![
        one("NFC"),
        one("NFD"),
        one("NFKC"),
        one("NFKD"),
        one("Nmt"),
        one("Lowercase"),
        one("StripAccents"),
        one("ByteLevel"),
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        json!({"type": "Strip", "strip_left": false, "strip_right": true}),
        json!({"type": "Strip", "strip_left": true, "strip_right": false}),
        replace(json!({"String": " "}), "▁"),
        replace(json!({"String": "``"}), "\""),
        replace(json!({"Regex": " {2,}"}), " "),
        replace(json!({"Regex": r"\s+"}), " "),
        replace(json!({"Regex": r"(?<=\w)[é-ü]|b(?=a)"}), "<>"),
        replace(json!({"Regex": "[a-c]+?|[^\\S\\n]"}), ""),
        bert(true, true, Value::Null, true),
        bert(true, true, json!(false), true),
        bert(true, false, json!(true), false),
        bert(false, true, json!(true), true),
        bert(false, false, json!(false), false),
        precompiled(),
        sequence(&[one("NFD"), one("StripAccents"), one("Lowercase")]),
        sequence(&[
            replace(json!({"String": "``"}), "\""),
            one("NFKD"),
            one("StripAccents"),
            one("Lowercase"),
            precompiled(),
        ]),
        sequence(&[
            one("Nmt"),
            one("NFKC"),
            json!({"type": "Strip", "strip_left": true, "strip_right": true}),
            replace(json!({"Regex": " {2,}"}), " "),
            json!({"type": "Prepend", "prepend": "▁x"}),
        ]),
        sequence(&[precompiled(), replace(json!({"Regex": "^[a-e]"}), "zz"), one("ByteLevel")]),
    ]
}

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

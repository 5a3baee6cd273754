//! Added tokens next to those of `tokenizers`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Both, file};

fn token(content: &str, flags: [bool; 5]) -> Value {
    let [single_word, lstrip, rstrip, normalized, special] = flags;
    json!({"id": 0, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
        "normalized": normalized, "special": special})
}

fn tokenizer(contents: &[&str], flags: &[u8], normalizer: &Value, first: &str) -> Value {
    let bits = |flags: u8| std::array::from_fn(|bit| flags >> bit & 1 == 1);
    let tokens: Vec<Value> =
        contents.iter().zip(flags).map(|(content, flags)| token(content, bits(*flags))).collect();
    let letters = "abcdefghijklmnopqrstuvwxyz▁_ <>[]AMSK";
    let mut pieces: Vec<(String, f64)> = vec![("<unk>".into(), -3.0)];
    pieces.extend(letters.chars().map(|letter| (letter.to_string(), -2.0)));
    pieces.extend(["▁a", "ab", "bc", "cab"].map(|piece| (piece.to_owned(), -2.5)));
    let model = json!({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false});
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": first, "split": true});
    let mut file = file(normalizer, &metaspace, &model);
    file["added_tokens"] = tokens.into();
    file
}

proptest! {
    /// Tokens with any flags are found where `tokenizers` finds them, also next to each other, within words
    /// and within what is normalized.
    #[test]
    fn tokens_are_found_as_by_tokenizers(
        flags in proptest::array::uniform6(0_u8..32),
        normalizer in 0_usize..4,
        texts in proptest::collection::vec(
            "(<s>|<S>|\\[M\\]|\\[m\\]|ab|a b|bc|é|e\u{301}| |\t|\u{3000}|_|[a-c]|x|1|\u{1}|A){0,14}", 1..8
        ),
    ) {
        let normalizers = [
            Value::Null,
            json!({"type": "Lowercase"}),
            json!({"type": "Sequence", "normalizers": [
                {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "NFC"}]}),
            json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": false, "lowercase": true}),
        ];
        let contents = ["<s>", "[M]", "ab", "abc", "a b", "é"];
        for first in ["always", "first"] {
            let file = tokenizer(&contents, &flags, &normalizers[normalizer], first);
            let mut both = Both::of(&file);
            for text in &texts {
                for plain in [false, true] {
                    if let Some((ids, expected)) = both.ids(text, plain) {
                        prop_assert_eq!(ids, expected, "{:?}, plain: {}, {}", text, plain, file["added_tokens"]);
                    }
                }
            }
        }
    }
}

#[test]
fn tokens_that_become_the_same_text_are_left_to_the_oracle() {
    let lowercase = json!({"type": "Lowercase"});
    let file = tokenizer(&["<S>", "<s>"], &[8, 8], &lowercase, "always");

    let oracle = serde_json::from_value(tokenizer(&["<S>", "<s>"], &[0, 0], &lowercase, "always"));
    let refused = super::stages(&file, &oracle.unwrap()).unwrap_err();
    assert!(refused.contains("the same text"), "{refused}");
}

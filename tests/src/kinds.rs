//! Every kind of normalizer and pre-tokenizer that a `tokenizer.json` may have.

use serde_json::{Value, json};

use crate::character_map::character_map;

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
fn precompiled() -> Value {
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

/// Returns each normalizer, and sequences of them as real tokenizers have them.
pub fn normalizers() -> Vec<Value> {
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

/// Returns a pre-tokenizer that splits by a pattern.
pub fn split(pattern: &Value, behaviour: &str, invert: bool) -> Value {
    json!({"type": "Split", "pattern": pattern, "behavior": behaviour, "invert": invert})
}

fn metaspace(replacement: &str, scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": split})
}

fn byte_level(prefix: bool, regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
}

/// Returns each pre-tokenizer, and sequences of them as real tokenizers have them.
pub fn pre_tokenizers() -> Vec<Value> {
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

/// Returns patterns that automata run, that Oniguruma runs, and that match nothing at all.
pub fn patterns() -> [Value; 8] {
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

//! Whether the parts around a model are such that `tokenizers` may read them: it allocates and recurses
//! as they say.

use serde_json::Value;

use crate::bounds::limits::{DEEPEST_SECTION, LONGEST_MAPPED, LONGEST_PATTERN, MOST_GROUPS};
use crate::bounds::shown;
use crate::stages::decode_base64;

/// Checks the JSON of a part.
pub(super) fn check(part: &Value) -> Result<(), String> {
    check_within(part, 0)
}

fn check_within(value: &Value, depth: usize) -> Result<(), String> {
    if depth > DEEPEST_SECTION {
        return Err(format!("it is nested deeper than {DEEPEST_SECTION} levels"));
    }
    match value {
        Value::Array(list) => list.iter().try_for_each(|inner| check_within(inner, depth + 1)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, inner)| {
            match (name.as_str(), inner) {
                ("Regex" | "String", Value::String(pattern)) => check_pattern(pattern)?,
                ("precompiled_charsmap", Value::String(map)) => check_charsmap(map)?,
                _ => {}
            }
            check_within(inner, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// Checks a regular expression: Oniguruma recurses into its groups.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let groups = pattern.bytes().filter(|byte| matches!(byte, b'(' | b'[')).count();
    if pattern.len() > LONGEST_PATTERN || groups > MOST_GROUPS {
        return Err(format!(
            "the pattern `{}` has {} bytes and opens {groups} groups and classes, expected at most \
             {LONGEST_PATTERN} and {MOST_GROUPS}",
            shown(pattern),
            pattern.len()
        ));
    }
    Ok(())
}

/// Checks a character map of SentencePiece: the length of a trie, the trie, and texts that each end
/// with a zero byte.
fn check_charsmap(base64: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("`precompiled_charsmap` {what}"));
    let Some(map) = decode_base64(base64) else { return wrong("is no Base64".into()) };
    if map.is_empty() {
        return Ok(());
    }
    let Some((&len, rest)) = map.split_first_chunk() else {
        return wrong(format!("has {} bytes, expected a length of four first", map.len()));
    };
    let len = u32::from_le_bytes(len) as usize;
    let Some(texts) = rest.get(len / 4 * 4..) else {
        return wrong(format!("has {} bytes, expected {len} for its trie alone", map.len()));
    };
    let longest = texts.split(|&byte| byte == 0).map(<[u8]>::len).max().unwrap_or(0);
    if longest > LONGEST_MAPPED {
        return wrong(format!(
            "writes {longest} bytes for one character, expected at most {LONGEST_MAPPED}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_take_all_memory_or_stack_is_refused() {
        let mut nested = json!({"type": "NFC"});
        for _ in 0..30 {
            nested = json!({"type": "Sequence", "normalizers": [nested]});
        }
        let cases = [
            (nested, "nested deeper than 32"),
            (json!({"pattern": {"Regex": "(".repeat(1001)}}), "opens 1001 groups"),
            (json!({"pattern": {"Regex": "a".repeat(70_000)}}), "has 70000 bytes"),
            // A trie of 4 GB.
            (json!([{"precompiled_charsmap": "/////w=="}]), "expected 4294967295 for its trie"),
            (
                json!({"precompiled_charsmap": format!("AAAAAA{}", "AQEB".repeat(100))}),
                "for one character",
            ),
            (json!({"precompiled_charsmap": "AQ=="}), "expected a length"),
        ];
        for (part, says) in cases {
            let refused = check(&part).unwrap_err();

            assert!(refused.contains(says), "{says}: {refused}");
        }
    }
}

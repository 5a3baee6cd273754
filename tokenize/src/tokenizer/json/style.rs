//! How a file reads spaces, and where its units begin: its normalizer and its pre-tokenizer.

use serde_json::Value;

use crate::engine::compiled::Prefix;
use crate::engine::pre_tokenizer::pattern::Pattern;

/// What the file's normalizer and pre-tokenizer do.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Spaces {
        prefix: Prefix,
        /// Whether a piece may have a `▁` only at its start (`Metaspace` that splits).
        cut_at_spaces: bool,
    },
    ByteLevel {
        pattern: Pattern,
        /// Whether the text is nfc first (NFC).
        nfc: bool,
    },
}

/// Reads how spaces are written and where units begin.
pub(super) fn style(normalizer: &Value, pre_tokenizer: &Value) -> Result<Style, String> {
    let spaces = |prefix, cut_at_spaces| Ok(Style::Spaces { prefix, cut_at_spaces });
    let kind = |value: &Value| value["type"].as_str().unwrap_or("").to_owned();
    let steps = |value: &Value, list: &str| match value {
        Value::Null => Vec::new(),
        _ if kind(value) == "Sequence" => value[list].as_array().cloned().unwrap_or_default(),
        one => vec![one.clone()],
    };
    let normalizers = steps(normalizer, "normalizers");
    let pre_tokenizers = steps(pre_tokenizer, "pretokenizers");
    let is_prepend = |step: &Value| kind(step) == "Prepend" && step["prepend"] == "▁";
    let is_replace = |step: &Value| {
        kind(step) == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
    };
    // Gemma's file splits at spaces after its normalizer has replaced them all: it never splits.
    let splits_never = |step: &Value| kind(step) == "Split" && step["pattern"]["String"] == " ";
    // Qwen composes its text first; others of the byte-level kind leave it as it is.
    let nfc_of = |steps: &[Value]| match steps {
        [] => Some(false),
        [one] if kind(one) == "NFC" => Some(true),
        _ => None,
    };
    let byte_level = |steps: &[Value], pattern| {
        Ok(Style::ByteLevel { pattern, nfc: nfc_of(steps).unwrap_or(false) })
    };
    match (normalizers.as_slice(), pre_tokenizers.as_slice()) {
        ([prepend, replace], []) if is_prepend(prepend) && is_replace(replace) => {
            spaces(Prefix::EachPiece, false)
        }
        ([replace], []) if is_replace(replace) => spaces(Prefix::Never, false),
        ([replace], [split]) if is_replace(replace) && splits_never(split) => {
            spaces(Prefix::Never, false)
        }
        ([], [step]) if kind(step) == "Metaspace" && step["replacement"] == "▁" => {
            let split = step["split"].as_bool().unwrap_or(true);
            let legacy = step["add_prefix_space"].as_bool();
            match (step["prepend_scheme"].as_str(), legacy) {
                (Some("never"), _) | (None, Some(false)) => spaces(Prefix::Never, split),
                (Some("first"), _) => spaces(Prefix::FirstUnlessSpace, split),
                (Some("always") | None, _) => spaces(Prefix::EachUnlessSpace, split),
                (Some(other), _) => Err(format!("its prepend scheme is `{other}`")),
            }
        }
        (texts, [step])
            if nfc_of(texts).is_some()
                && kind(step) == "ByteLevel"
                && step["add_prefix_space"] == false
                && step["use_regex"] != false =>
        {
            byte_level(texts, Pattern::Gpt2)
        }
        (texts, [split, bytes])
            if nfc_of(texts).is_some()
                && kind(split) == "Split"
                && kind(bytes) == "ByteLevel"
                && bytes["use_regex"] == false
                && bytes["add_prefix_space"] == false
                && split["invert"] == false =>
        {
            let regex = split["pattern"]["Regex"].as_str().unwrap_or("");
            match (Pattern::from_regex(regex), split["behavior"].as_str()) {
                (Some(pattern), Some("Isolated")) => byte_level(texts, pattern),
                _ => Err("its pre-tokenizer splits by a pattern of its own".into()),
            }
        }
        _ => Err("its normalizer or pre-tokenizer is of another kind".into()),
    }
}

//! How a file reads spaces, and where its units begin: its normalizer and its pre-tokenizer.

use onig::Regex;
use serde_json::Value;

use crate::bounds::shown;
use crate::engine::compiled::Prefix;
use crate::engine::pre_tokenizer::gpt2::GPT2;
use crate::engine::pre_tokenizer::pattern::Pattern;
use crate::engine::pre_tokenizer::regex::split_regex::SplitRegex;
use crate::engine::pre_tokenizer::splits::Splits;

/// What the file's normalizer and pre-tokenizer do.
pub(super) enum Style {
    /// SentencePiece style.
    Spaces {
        /// Where a `▁` is put before the text.
        prefix: Prefix,
        /// Whether a piece may have a `▁` only at its start (`Metaspace` that splits).
        cut_at_spaces: bool,
    },
    /// Byte-level.
    ByteLevel {
        /// What splits the text.
        pattern: Pattern,
        /// Whether the text is normalized to NFC first.
        nfc: bool,
    },
}

/// Reads how spaces are written and where units begin.
pub(super) fn style(normalizer: &Value, pre_tokenizer: &Value) -> Result<Style, String> {
    let normalizers = steps(normalizer, "normalizers");
    let pre_tokenizers = steps(pre_tokenizer, "pretokenizers");
    if let Some((bytes, splits)) = pre_tokenizers.split_last()
        && kind(bytes) == "ByteLevel"
    {
        return byte_level(&normalizers, splits, bytes);
    }
    let spaces = |prefix, cut_at_spaces| Ok(Style::Spaces { prefix, cut_at_spaces });
    let is_prepend = |step: &Value| kind(step) == "Prepend" && step["prepend"] == "▁";
    let is_replace = |step: &Value| {
        kind(step) == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
    };
    // Gemma's file splits at spaces after its normalizer has replaced them all: it never splits.
    let splits_never = |step: &Value| kind(step) == "Split" && step["pattern"]["String"] == " ";
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
        _ => Err("its normalizer or pre-tokenizer is of another kind".into()),
    }
}

/// Returns whether a normalizer has a step.
pub(super) fn rewrites(normalizer: &Value) -> bool {
    !steps(normalizer, "normalizers").is_empty()
}

fn kind(step: &Value) -> &str {
    step["type"].as_str().unwrap_or("")
}

/// Returns the steps of a part, one after the other; sequences may be nested.
fn steps<'a>(part: &'a Value, list: &str) -> Vec<&'a Value> {
    match part {
        Value::Null => Vec::new(),
        _ if kind(part) == "Sequence" => {
            let inner = part[list].as_array().into_iter().flatten();
            inner.flat_map(|step| steps(step, list)).collect()
        }
        one => vec![one],
    }
}

/// Reads a pre-tokenizer that ends with `ByteLevel`.
fn byte_level(normalizers: &[&Value], splits: &[&Value], bytes: &Value) -> Result<Style, String> {
    // Qwen normalizes its text first; others of the byte-level kind leave it as it is.
    let nfc = match normalizers {
        [] => false,
        [one] if kind(one) == "NFC" => true,
        _ => return Err("its normalizer is of another kind".into()),
    };
    if bytes["add_prefix_space"] != false {
        return Err("it puts a space before each piece".into());
    }
    let has_regex = bytes["use_regex"] != false;
    let pattern = match (splits, has_regex) {
        ([], true) => Pattern::Gpt2,
        ([split], false) if let Some(pattern) = known(split) => pattern,
        (_, false) if let Some(pattern) = known_sequence(splits) => pattern,
        _ => {
            let gpt2 = has_regex.then(|| SplitRegex::new(GPT2));
            let patterns = splits.iter().map(|step| split_regex(step)).chain(gpt2);
            Pattern::Splits(Splits::new(patterns.collect::<Result<_, _>>()?)?)
        }
    };
    Ok(Style::ByteLevel { pattern, nfc })
}

/// Returns the pattern of a step that has a form of its own.
fn known(step: &Value) -> Option<Pattern> {
    let pattern = Pattern::known(step["pattern"]["Regex"].as_str()?)?;
    // These match everywhere, so that nothing is between matches.
    (kind(step) == "Split" && keeps_matches(step)).then_some(pattern)
}

/// Returns the pattern of steps that have a form of their own together.
fn known_sequence(steps: &[&Value]) -> Option<Pattern> {
    let isolated = |step: &Value| kind(step) == "Split" && step["behavior"] == "Isolated";
    let regexes = steps.iter().map(|step| step["pattern"]["Regex"].as_str());
    let regexes: Vec<&str> = regexes.collect::<Option<_>>()?;
    Pattern::known_sequence(&regexes).filter(|_| steps.iter().all(|step| isolated(step)))
}

/// Returns whether a step keeps each match as a piece.
fn keeps_matches(step: &Value) -> bool {
    match step["behavior"].as_str() {
        Some("Isolated") => true,
        Some("Removed") => step["invert"] == true,
        _ => false,
    }
}

/// Compiles a step that splits a text, or says what in it is not covered.
fn split_regex(step: &Value) -> Result<SplitRegex, String> {
    let number = match step["individual_digits"].as_bool() {
        Some(true) => r"\p{N}",
        _ => r"\p{N}+",
    };
    match kind(step) {
        "Digits" => SplitRegex::new(number),
        "Split" => {
            let pattern = &step["pattern"];
            let (text, regex) = match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
                (Some(text), _) => {
                    // What Oniguruma refuses, `tokenizers` refuses, and says so.
                    Regex::new(text).map_err(|wrong| wrong.description().to_owned())?;
                    (text, SplitRegex::new(text))
                }
                (None, Some(text)) => (text, SplitRegex::literal(text)),
                (None, None) => return Err("its pre-tokenizer splits by no pattern".into()),
            };
            let regex =
                regex.map_err(|wrong| format!("its pattern `{}` has {wrong}", shown(text)))?;
            // What is between matches is a piece, too, unless it is removed.
            let is_isolated = step["behavior"] == "Isolated";
            if is_isolated || (keeps_matches(step) && regex.is_total()) {
                return Ok(regex);
            }
            let behavior = step["behavior"].as_str().unwrap_or("");
            Err(format!("its pattern `{}` splits as `{behavior}`", shown(text)))
        }
        other => Err(format!("its pre-tokenizer has a step `{}`", shown(other))),
    }
}

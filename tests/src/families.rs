//! Tokenizers of families that no shared file has: GPT-2's vocabulary, read as another family reads.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A family of byte-level tokenizers, by how it cuts text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 3's, which is that of GPT-4 (cl100k): up to three digits; units that are pieces stay whole.
    Llama3,
    /// Qwen 2's: single digits, and NFC-normalized text.
    Qwen2,
    /// That of GPT-4o: words end where their case does.
    O200k,
}

impl Family {
    /// Returns the pattern.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Llama3 => {
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            }
            Self::Qwen2 => {
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            }
            Self::O200k => {
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            }
        }
    }
}

/// Makes a byte-level file one of a family: its pattern, its normalizer, and whether whole units count.
pub fn split_by(file: &mut Value, family: Family) {
    file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": family.pattern()}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    file["model"]["ignore_merges"] = (family == Family::Llama3).into();
    file["normalizer"] = if family == Family::Qwen2 { json!({"type": "NFC"}) } else { Value::Null };
    let added = file["added_tokens"].as_array_mut().into_iter().flatten();
    added.for_each(|token| token["normalized"] = false.into());
}

/// Writes a `tokenizer.json` with the shared GPT-2's vocabulary and a family's way of cutting into a
/// folder, and returns its path.
///
/// # Panics
///
/// The shared file is not there or not as expected, or the folder cannot be written.
#[expect(clippy::unwrap_used, reason = "a test's fixture fails by panicking")]
pub fn gpt2_with_pattern(shared: &Path, family: Family, folder: &Path) -> PathBuf {
    let text = fs::read_to_string(shared.join("tokenizers/gpt2/tokenizer.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    split_by(&mut file, family);
    let path = folder.join("tokenizer.json");
    File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();
    path
}

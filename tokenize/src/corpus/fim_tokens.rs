//! The tokens of fill in the middle, as the vocabularies of models for code have them.

use ratdata_schemas::recipe::FimTokens;

use super::error::JobError;
use crate::tokenizer::Tokenizer;

/// The tokens of families of models: before the prefix, the middle and the suffix.
const FAMILIES: [[&str; 3]; 5] = [
    // StarCoder, Granite
    ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"],
    // Qwen2.5-Coder, CodeGemma
    ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"],
    // SantaCoder
    ["<fim-prefix>", "<fim-middle>", "<fim-suffix>"],
    // Code Llama
    ["▁<PRE>", "▁<MID>", "▁<SUF>"],
    // DeepSeek-Coder: the hole is where the middle was, so it stands before the suffix.
    ["<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜fim▁hole｜>"],
];

/// Returns the tokens of the first family that a vocabulary has all three of.
///
/// # Errors
///
/// It has those of none.
pub fn fim_tokens(tokenizer: &Tokenizer) -> Result<FimTokens, JobError> {
    let has_all =
        |tokens: &&[&str; 3]| tokens.iter().all(|token| tokenizer.added_id(token).is_some());
    let found = FAMILIES.iter().find(has_all).ok_or_else(|| JobError::NoFimTokens {
        specials: tokenizer.specials().take(8).map(str::to_owned).collect(),
    })?;
    let [prefix, middle, suffix] = found.map(str::to_owned);
    Ok(FimTokens { prefix, middle, suffix })
}

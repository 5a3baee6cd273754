//! From a template and a row to the prompt's ids, encoding each distinct long part once.
//!
//! A prompt is cut into blocks where the tokenizer may be cut: `Story: {context}\n` is one and
//! `\nQuestion: {question}\n\nAnswer:` another. Many questions share a story, so the block of the
//! story is remembered by its checksum, and what is left to encode is the question.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::clip::Clip;
use crate::source::text_at;
use crate::tokenizer::{EncodeError, Encoder, Tokenizer};
use ratdata_schemas::recipe::{Template, TemplatePart};

/// Blocks shorter than this are encoded again: that is as fast as finding them.
const WORTH_KEEPING: usize = 1 << 10;

/// At most this many bytes of remembered blocks.
const MOST_KEPT: usize = 256 << 20;

/// Encodes the prompts of one template.
#[derive(Debug)]
pub(crate) struct PromptEncoder {
    blocks: Vec<Vec<TemplatePart>>,
    keep: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    blocks: FxHashMap<blake3::Hash, Arc<OnceLock<Option<Clip>>>>,
}

/// Why a prompt was not encoded.
pub(crate) enum PromptError {
    /// The row has no text at this path.
    NoText(String),
    Encode(EncodeError),
}

impl From<EncodeError> for PromptError {
    fn from(wrong: EncodeError) -> Self {
        Self::Encode(wrong)
    }
}

impl PromptEncoder {
    /// Cuts a template for a tokenizer; `keep` tokens of both ends of every prompt are kept.
    pub(crate) fn new(template: &Template, tokenizer: &Tokenizer, keep: usize) -> Self {
        let blocks = cut(template.parts(), |before, after| tokenizer.is_cut(before, after));
        Self { blocks, keep, known: Mutex::default() }
    }

    /// Returns the ends of a row's prompt.
    pub(crate) fn encode(&self, row: &Value, encoder: &mut Encoder) -> Result<Clip, PromptError> {
        let mut prompt = Clip::default();
        for (number, block) in self.blocks.iter().enumerate() {
            let mut text = String::new();
            for part in block {
                text.push_str(match part {
                    TemplatePart::Fixed(fixed) => fixed,
                    TemplatePart::Column(path) => {
                        text_at(row, path).ok_or_else(|| PromptError::NoText(path.clone()))?
                    }
                });
            }
            let fresh = |encoder: &mut Encoder| -> Result<Clip, EncodeError> {
                let mut ids: Vec<u32> = Vec::new();
                if number == 0 {
                    encoder.encode_into(&text, &mut ids)?;
                } else {
                    encoder.encode_continuation(&text, &mut ids)?;
                }
                Ok(Clip::of(&ids, self.keep))
            };
            match self.slot(number, &text) {
                None => prompt.push(&fresh(encoder)?, self.keep),
                Some(slot) => {
                    // The first to come encodes; who meets an error there meets it for itself.
                    match slot.get_or_init(|| fresh(encoder).ok()) {
                        Some(clip) => prompt.push(clip, self.keep),
                        None => prompt.push(&fresh(encoder)?, self.keep),
                    }
                }
            }
        }
        Ok(prompt)
    }

    /// Returns the place of a block worth remembering, while there is room for it.
    fn slot(&self, number: usize, text: &str) -> Option<Arc<OnceLock<Option<Clip>>>> {
        if text.len() < WORTH_KEEPING {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(number as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        let key = hasher.finalize();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let most = MOST_KEPT / (self.keep * 2 * size_of::<u32>()).max(1);
        if let Some(slot) = known.blocks.get(&key) {
            return Some(slot.clone());
        }
        if known.blocks.len() >= most {
            return None;
        }
        let slot = Arc::new(OnceLock::new());
        known.blocks.insert(key, slot.clone());
        Some(slot)
    }
}

/// Cuts the parts of a template behind each column, at the first place of the fixed text that
/// follows it where `is_cut`.
fn cut(parts: &[TemplatePart], is_cut: impl Fn(char, char) -> bool) -> Vec<Vec<TemplatePart>> {
    let mut blocks = vec![Vec::new()];
    let mut after_column = false;
    for part in parts {
        let mut rest = part.clone();
        if let (true, TemplatePart::Fixed(fixed)) = (after_column, part) {
            let place = fixed
                .char_indices()
                .zip(fixed.chars().skip(1))
                .find(|&((_, before), after)| is_cut(before, after))
                .map(|((at, before), _)| at + before.len_utf8());
            if let Some(place) = place {
                let (before, after) = fixed.split_at(place);
                push(&mut blocks, TemplatePart::Fixed(before.to_owned()));
                blocks.push(Vec::new());
                rest = TemplatePart::Fixed(after.to_owned());
            }
        }
        after_column = matches!(rest, TemplatePart::Column(_));
        push(&mut blocks, rest);
    }
    blocks
}

fn push(blocks: &mut [Vec<TemplatePart>], part: TemplatePart) {
    if let Some(last) = blocks.last_mut() {
        last.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_cut_behind_its_columns() {
        let template = Template::parse("S: {a}\n\nQ: {b}\n\nA:").unwrap();
        let fixed = |text: &str| TemplatePart::Fixed(text.into());
        let column = |path: &str| TemplatePart::Column(path.into());

        let blocks = cut(template.parts(), |_, after| after == '\n');

        assert_eq!(
            blocks,
            [
                vec![fixed("S: "), column("a"), fixed("\n")],
                vec![fixed("\nQ: "), column("b"), fixed("\n")],
                vec![fixed("\nA:")],
            ]
        );
        assert_eq!(cut(template.parts(), |_, _| false).len(), 1);
    }
}

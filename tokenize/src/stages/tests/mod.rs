//! The stages next to Hugging Face `tokenizers`, with small tokenizers that have every kind of part.

mod added_tokens;
mod models;
mod normalizers;
mod pre_tokenizers;
mod texts;

use std::sync::Arc;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::{BpeOptions, Merge, ModelParts, Stages, Stop, Token, Worker};

/// Both ways from text to ids of one tokenizer.
pub(super) struct Both {
    pub(super) oracle: Tokenizer,
    pub(super) worker: Worker,
}

impl Both {
    /// Loads a tokenizer in both.
    pub(super) fn of(file: &Value) -> Self {
        let oracle: Tokenizer = serde_json::from_value(file.clone()).unwrap();
        let stages = stages(file, &oracle).unwrap();
        Self { oracle, worker: Worker::new(Arc::new(stages)) }
    }

    /// Returns the ids of both, where the stages have some.
    pub(super) fn ids(&mut self, text: &str, plain: bool) -> Option<(Vec<u32>, Vec<u32>)> {
        let mut ids: Vec<u32> = Vec::new();
        match self.worker.encode(text, plain, &mut ids) {
            Ok(()) => {}
            Err(Stop::Oracle) => return None,
            Err(bound) => panic!("{bound:?}"),
        }
        self.oracle.set_encode_special_tokens(plain);
        Some((ids, self.oracle.encode_fast(text, false).unwrap().get_ids().to_vec()))
    }

    /// Asserts that both give the same ids.
    pub(super) fn check(&mut self, text: &str) {
        for plain in [false, true] {
            let (ids, expected) = self.ids(text, plain).unwrap();
            assert_eq!(ids, expected, "{text:?}, plain: {plain}");
        }
    }
}

/// Returns a file of these parts.
pub(super) fn file(normalizer: &Value, pre_tokenizer: &Value, model: &Value) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null,
        "decoder": null, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model
    })
}

fn stages(file: &Value, oracle: &Tokenizer) -> Result<Stages, String> {
    let part = |name: &str| file[name].clone();
    let model = &file["model"];
    let text = |name: &str| model[name].as_str().map(str::to_owned);
    let pieces: Vec<(&str, u32)> = model["vocab"].as_object().map_or(Vec::new(), |vocab| {
        let id = |id: &Value| u32::try_from(id.as_u64().unwrap()).unwrap();
        vocab.iter().map(|(piece, value)| (piece.as_str(), id(value))).collect()
    });
    let scored: Vec<(String, f64)> =
        serde_json::from_value(model["vocab"].clone()).unwrap_or_default();
    let merges = merges(model, &pieces);
    let unknown = text("unk_token").unwrap_or_default();
    let prefix = text("continuing_subword_prefix").unwrap_or_default();
    let flag = |name: &str| model[name] == true;
    let parts = match model["type"].as_str().unwrap() {
        "WordLevel" => ModelParts::WordLevel { pieces: &pieces, unknown: &unknown },
        "WordPiece" => ModelParts::WordPiece {
            pieces: &pieces,
            prefix: &prefix,
            unknown: &unknown,
            most_chars: usize::try_from(model["max_input_chars_per_word"].as_u64().unwrap())
                .unwrap(),
        },
        "Unigram" => ModelParts::Unigram {
            pieces: &scored,
            unknown: model["unk_id"].as_u64().map(|id| u32::try_from(id).unwrap()),
            byte_fallback: flag("byte_fallback"),
        },
        _ => ModelParts::Bpe {
            pieces: &pieces,
            merges: &merges,
            options: BpeOptions {
                prefix: text("continuing_subword_prefix"),
                suffix: text("end_of_word_suffix"),
                unknown: text("unk_token"),
                fuses_unknown: flag("fuse_unk"),
                byte_fallback: flag("byte_fallback"),
                ignores_merges: flag("ignore_merges"),
            },
        },
    };
    let tokens = file["added_tokens"].as_array().unwrap().iter().map(|token| {
        let flag = |name: &str| token[name] == true;
        let content = token["content"].as_str().unwrap().to_owned();
        Token {
            id: oracle.token_to_id(&content).unwrap(),
            content,
            single_word: flag("single_word"),
            lstrip: flag("lstrip"),
            rstrip: flag("rstrip"),
            normalized: flag("normalized"),
            special: flag("special"),
            replaced: Vec::new(),
        }
    });
    let normalizer = serde_json::from_value(part("normalizer")).unwrap();
    let pre_tokenizer = serde_json::from_value(part("pre_tokenizer")).unwrap();
    Stages::new(tokens.collect(), normalizer, pre_tokenizer, &parts)
}

fn merges(model: &Value, pieces: &[(&str, u32)]) -> Vec<Merge> {
    let id = |piece: &str| pieces.iter().find(|(other, _)| *other == piece).unwrap().1;
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    let pairs: Vec<(String, String)> =
        serde_json::from_value(model["merges"].clone()).unwrap_or_default();
    let merge = |(rank, (left, right)): (u32, &(String, String))| Merge {
        left: id(left),
        right: id(right),
        rank,
        becomes: id(&format!("{left}{}", &right[prefix.len()..])),
    };
    (0..).zip(&pairs).map(merge).collect()
}

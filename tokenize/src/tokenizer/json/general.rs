//! Makes the stages of a `tokenizer.json` that the engine does not cover.
//!
//! The parts around the model are read by `tokenizers`, so that their defaults and their older forms are those
//! that it knows; what it refuses is left to it, and so is a model that it might refuse.

use rustc_hash::FxHashMap as HashMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{DecoderWrapper, PostProcessorWrapper};

use super::file::{AddedEntry, File, Model, Sections, Vocabulary};
use crate::bounds::boundary::bounded;
use crate::bounds::limits::MOST_ADDED_BYTES;
use crate::bounds::shown;
use crate::engine::bpe::pairs::Merge;
use crate::stages::{BpeOptions, ModelParts, Stages, Token};
use crate::tokenizer::added::token::AddedToken;

/// Makes the stages of a file of so many bytes.
///
/// # Errors
///
/// The reason why the file is left to the oracle.
pub(super) fn stages(
    file: &File<'_>,
    sections: &Sections,
    added: &[AddedToken],
    merges: &[Merge],
    bytes: usize,
) -> Result<Stages, String> {
    // What is counted here is what the normalizer does to added tokens.
    let made = bounded(bytes.min(MOST_ADDED_BYTES), || {
        let normalizer = part("normalizer", &sections.normalizer)?;
        let pre_tokenizer = part("pre-tokenizer", &sections.pre_tokenizer)?;
        // `tokenizers` reads these, too, and refuses a file where it cannot.
        part::<PostProcessorWrapper>("post-processor", &sections.post_processor)?;
        part::<DecoderWrapper>("decoder", &sections.decoder)?;
        let tokens = tokens(&file.added_tokens, added);
        let make = |model: &ModelParts<'_>| Stages::new(tokens, normalizer, pre_tokenizer, model);
        with_model(&file.model, merges, make)
    });
    made.unwrap_or_else(|broken| Err(broken.to_string()))
}

/// Reads a part, which may not be there.
fn part<T: DeserializeOwned>(name: &str, value: &Value) -> Result<Option<T>, String> {
    // As text: some parts of `tokenizers` read nothing else.
    serde_json::from_str(&value.to_string()).map_err(|wrong| format!("its {name}: {wrong}"))
}

/// Returns the added tokens with their flags. Of entries with the same text, the last one has them.
fn tokens(entries: &[AddedEntry], added: &[AddedToken]) -> Vec<Token> {
    let entries: HashMap<&str, &AddedEntry> =
        entries.iter().map(|entry| (entry.content.as_str(), entry)).collect();
    let token = |token: &AddedToken| {
        let entry = entries.get(token.content.as_str());
        let flag = |flag: fn(&AddedEntry) -> bool| entry.is_some_and(|entry| flag(entry));
        Token {
            id: token.id,
            content: token.content.clone(),
            single_word: flag(|entry| entry.single_word),
            lstrip: flag(|entry| entry.lstrip),
            rstrip: flag(|entry| entry.rstrip),
            normalized: token.normalized,
            special: token.special,
            replaced: token.replaced.clone(),
        }
    };
    added.iter().map(token).collect()
}

/// Calls `make` with the parts of a model.
fn with_model<T>(
    model: &Model<'_>,
    merges: &[Merge],
    make: impl FnOnce(&ModelParts<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let missing = |field: &str| format!("its model has no `{field}`");
    let pieces: Vec<(&str, u32)> = match &model.vocab {
        Some(Vocabulary::Ids(ids)) => ids.iter().map(|(piece, &id)| (&*piece.0, id)).collect(),
        _ => Vec::new(),
    };
    let kind = model.kind.as_deref().or(model.is_bpe().then_some("BPE"));
    let unknown = || model.unk_token.as_deref().ok_or_else(|| missing("unk_token"));
    match (kind, &model.vocab) {
        (Some("BPE"), Some(Vocabulary::Ids(_))) => make(&ModelParts::Bpe {
            pieces: &pieces,
            merges,
            options: BpeOptions {
                prefix: model.continuing_subword_prefix.clone(),
                suffix: model.end_of_word_suffix.clone(),
                unknown: model.unk_token.clone(),
                fuses_unknown: model.fuse_unk,
                byte_fallback: model.byte_fallback,
                ignores_merges: model.ignore_merges,
            },
        }),
        (Some("Unigram"), Some(Vocabulary::Scored(pieces))) => {
            let unknown = model.unk_id.map(u32::try_from).transpose();
            let unknown = unknown.map_err(|_| "its `unk_id` is the id of no piece")?;
            make(&ModelParts::Unigram { pieces, unknown, byte_fallback: model.byte_fallback })
        }
        (Some("WordLevel"), Some(Vocabulary::Ids(_))) => {
            make(&ModelParts::WordLevel { pieces: &pieces, unknown: unknown()? })
        }
        (Some("WordPiece"), Some(Vocabulary::Ids(_))) => {
            let prefix = model.continuing_subword_prefix.as_deref();
            let most_chars = model.max_input_chars_per_word.and_then(|most| most.try_into().ok());
            make(&ModelParts::WordPiece {
                pieces: &pieces,
                prefix: prefix.ok_or_else(|| missing("continuing_subword_prefix"))?,
                unknown: unknown()?,
                most_chars: most_chars.ok_or_else(|| missing("max_input_chars_per_word"))?,
            })
        }
        (Some(kind), _) => {
            Err(format!("its model is {}, with no vocabulary of that kind", shown(kind)))
        }
        (None, _) => Err("its model does not say of what type it is".into()),
    }
}

//! The slow twin that encoders are tested against.

use std::sync::Arc;

use ratdata_schemas::TokenId;

use super::added::tokens::Stretch;
use super::error::EncodeError;
use super::loaded::Loaded;
use ratdata_schemas::recipe::SpecialInText;

/// Characters that few pieces have next to another one.
const BEFORE: [char; 4] = ['\n', '☺', '。', '.'];

/// The slow twin of [`super::Encoder`].
///
/// For JSON files it is Hugging Face `tokenizers`; for SentencePiece models, their own algorithm
/// over each whole stretch of text, without cuts or caches.
#[derive(Clone, Debug)]
pub struct Oracle {
    loaded: Arc<Loaded>,
}

impl Oracle {
    pub(super) fn new(loaded: Arc<Loaded>) -> Self {
        Self { loaded }
    }

    /// Returns the ids of `text`; neither BOS nor EOS is added.
    ///
    /// # Errors
    ///
    /// As [`super::Encoder::encode_into`].
    pub fn encode(&self, text: &str, specials: SpecialInText) -> Result<Vec<TokenId>, EncodeError> {
        self.loaded.oracle_encode(text, specials)
    }

    /// Returns the ids of a text that continues another one, as [`super::Encoder::encode_continuation`] does:
    /// those that it has behind a character that no merge joins with it.
    ///
    /// # Errors
    ///
    /// As [`super::Encoder::encode_into`].
    pub fn encode_continuation(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Vec<TokenId>, EncodeError> {
        let loaded = &self.loaded;
        let engine = loaded.engine().filter(|engine| engine.is_prefixed(text, true));
        let (Some(engine), Some(first)) = (engine, text.chars().next()) else {
            return self.encode(text, specials);
        };
        for before in BEFORE {
            if !engine.is_cut(before, first) || loaded.vocabulary.added.span(before, first) {
                continue;
            }
            let alone = self.encode(&before.to_string(), specials)?;
            let mut both = self.encode(&format!("{before}{text}"), specials)?;
            if both.starts_with(&alone) {
                return Ok(both.split_off(alone.len()));
            }
        }
        let mut ids = Vec::new();
        super::Encoder::new(loaded.clone(), specials).encode_continuation(text, &mut ids)?;
        Ok(ids)
    }

    /// Returns the ids of `text` by the definition of BPE, where the engine covers the tokenizer.
    ///
    /// Quadratic in the length of the text.
    ///
    /// # Errors
    ///
    /// As [`super::Encoder::encode_into`].
    pub fn encode_plainly(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Option<Vec<TokenId>>, EncodeError> {
        let Some(engine) = self.loaded.engine() else { return Ok(None) };
        let mut ids = Vec::new();
        self.loaded.vocabulary.added.split(text, specials, |stretch| match stretch {
            Stretch::Text { text, at_start } => {
                ids.extend(engine.encode_plainly(&self.loaded.normalized(text), at_start));
            }
            Stretch::Token(id) => ids.push(id),
        })?;
        Ok(Some(ids))
    }
}

//! One thread's way from text to ids, and the oracle that it is held to.

use std::borrow::Cow;
use std::sync::Arc;

use ratdata_schemas::TokenId;

use super::Inner;
use super::boundary::caught;
use super::composed::composed;
use super::error::EncodeError;
use crate::engine::Worker;
use crate::engine::width::IdWidth;

/// What becomes of a special token that is written in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialInText {
    /// It becomes its id, as in the reference.
    #[default]
    Parse,
    /// It is plain text.
    Plain,
    /// It is an error.
    Error,
}

/// Encodes texts on one thread; it owns its caches.
#[derive(Clone, Debug)]
pub struct Encoder {
    inner: Arc<Inner>,
    specials: SpecialInText,
    worker: Option<Worker>, // none: the oracle serves the tokenizer
}

impl Encoder {
    pub(super) fn new(inner: Arc<Inner>, specials: SpecialInText) -> Self {
        // A plain reading of added tokens that are not special is the oracle's alone.
        let covered =
            specials != SpecialInText::Plain || inner.added.iter().all(|token| token.special);
        let worker =
            inner.engine.as_ref().filter(|_| covered).map(|engine| Worker::new(engine.clone()));
        Self { inner, specials, worker }
    }

    /// Appends the ids of `text`; neither BOS nor EOS is added.
    ///
    /// # Errors
    ///
    /// A special token stands in the text and [`SpecialInText::Error`] was asked for, the text is
    /// longer than 2 GiB, or the vocabulary does not fit the width.
    pub fn encode_into<W: IdWidth>(
        &mut self,
        text: &str,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        self.inner.check_width(W::DTYPE)?;
        let Some(worker) = &mut self.worker else {
            let ids = self.inner.oracle_encode(text, self.specials)?;
            out.extend(ids.into_iter().map(W::of));
            return Ok(());
        };
        let read = reader(self.inner.composes);
        let encode = || {
            self.inner.for_each_piece(text, self.specials, |piece| match piece {
                Piece::Text { text, at_start } => worker.encode(&read(text), at_start, out),
                Piece::Token(id) => out.push(W::of(id)),
            })
        };
        caught(encode).unwrap_or_else(|broken| Err(self.inner.broken(&broken)))
    }

    /// Appends the ids of a text that goes on where another ended, at a cut: no `▁` is put before it.
    ///
    /// The ids are those that the two texts have as one, where [`super::Tokenizer::is_cut`] says so
    /// of the characters on both sides.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode_continuation<W: IdWidth>(
        &mut self,
        text: &str,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        self.inner.check_width(W::DTYPE)?;
        let Some(worker) = &mut self.worker else { return self.encode_into(text, out) };
        let read = reader(self.inner.composes);
        let mut first = true;
        let encode = || {
            self.inner.for_each_piece(text, self.specials, |piece| {
                match piece {
                    Piece::Text { text, .. } if first => {
                        worker.encode_continuation(&read(text), out);
                    }
                    Piece::Text { text, .. } => worker.encode(&read(text), false, out),
                    Piece::Token(id) => out.push(W::of(id)),
                }
                first = false;
            })
        };
        caught(encode).unwrap_or_else(|broken| Err(self.inner.broken(&broken)))
    }

    /// Returns how much memory this encoder's own caches take, in bytes.
    pub fn memory(&self) -> usize {
        self.worker.as_ref().map_or(0, |_| Worker::memory())
    }
}

/// Returns how a stretch of text is read before the engine encodes it.
fn reader(composes: bool) -> impl Fn(&str) -> Cow<'_, str> {
    move |text| if composes { composed(text) } else { Cow::Borrowed(text) }
}

/// A stretch of text between added tokens, or an added token.
pub(super) enum Piece<'a> {
    Text { text: &'a str, at_start: bool },
    Token(TokenId),
}

/// The slow twin of [`Encoder`].
///
/// For JSON files it is Hugging Face `tokenizers`; for SentencePiece models, their own algorithm
/// over each whole piece of text, without cuts or caches.
#[derive(Clone, Debug)]
pub struct Oracle {
    inner: Arc<Inner>,
}

impl Oracle {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Returns the ids of `text`; neither BOS nor EOS is added.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode(&self, text: &str, specials: SpecialInText) -> Result<Vec<TokenId>, EncodeError> {
        self.inner.oracle_encode(text, specials)
    }

    /// Returns the ids of `text` by the definition of BPE, where the engine covers the tokenizer.
    ///
    /// Quadratic in the length of the text.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode_plainly(
        &self,
        text: &str,
        specials: SpecialInText,
    ) -> Result<Option<Vec<TokenId>>, EncodeError> {
        let Some(engine) = &self.inner.engine else { return Ok(None) };
        let read = reader(self.inner.composes);
        let mut ids = Vec::new();
        self.inner.for_each_piece(text, specials, |piece| match piece {
            Piece::Text { text, at_start } => {
                ids.extend(engine.encode_plainly(&read(text), at_start));
            }
            Piece::Token(id) => ids.push(id),
        })?;
        Ok(Some(ids))
    }
}

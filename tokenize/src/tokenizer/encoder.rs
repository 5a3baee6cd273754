//! One thread's way from text to ids.

use std::sync::Arc;

use ratdata_schemas::recipe::SpecialInText;

use super::added::tokens::Stretch;
use super::error::EncodeError;
use super::loaded::{Loaded, Worker};
use super::sentencepiece::unigram;
use crate::bounds::boundary::{Broken, bounded, caught};
use crate::engine::id_width::IdWidth;
use crate::engine::{self, MAX_UNIT};
use crate::stages::{self, Stop};

/// Encodes texts on one thread; it owns its caches.
#[derive(Clone, Debug)]
pub struct Encoder {
    loaded: Arc<Loaded>,
    specials: SpecialInText,
    worker: Option<Worker>, // none: the oracle encodes
}

impl Encoder {
    /// Makes an encoder, with a worker that was used before where there is one.
    pub(super) fn new(loaded: Arc<Loaded>, specials: SpecialInText) -> Self {
        let worker = loaded.worker(specials);
        Self { loaded, specials, worker }
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
        let Self { loaded, specials, worker } = self;
        loaded.vocabulary.check_width(W::DTYPE)?;
        let worker = match worker {
            Some(Worker::Engine(worker)) => worker,
            Some(Worker::Stages(worker)) => return staged(loaded, *specials, worker, text, out),
            Some(Worker::Unigram(worker)) => return scored(loaded, *specials, worker, text, out),
            None => return asked(loaded, *specials, text, out),
        };
        let encode = || {
            loaded.vocabulary.added.split(text, *specials, |stretch| match stretch {
                Stretch::Text { text, at_start } => {
                    worker.encode(&loaded.normalized(text), at_start, out);
                }
                Stretch::Token(id) => out.push(W::of(id)),
            })
        };
        caught(encode).unwrap_or_else(|broken| Err(loaded.broken(&broken)))
    }

    /// Appends the ids of a text that continues another one, which ended at a cut: no `▁` is put before
    /// it.
    ///
    /// The two texts have the ids of their concatenation, where [`super::Tokenizer::is_cut`] says so of
    /// the characters on both sides.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode_into`].
    pub fn encode_continuation<W: IdWidth>(
        &mut self,
        text: &str,
        out: &mut Vec<W>,
    ) -> Result<(), EncodeError> {
        self.loaded.vocabulary.check_width(W::DTYPE)?;
        let Self { loaded, specials, worker: Some(Worker::Engine(worker)) } = self else {
            return self.encode_into(text, out);
        };
        let mut first = true;
        let encode = || {
            loaded.vocabulary.added.split(text, *specials, |stretch| {
                match stretch {
                    Stretch::Text { text, .. } if first => {
                        worker.encode_continuation(&loaded.normalized(text), out);
                    }
                    Stretch::Text { text, .. } => {
                        worker.encode(&loaded.normalized(text), false, out);
                    }
                    Stretch::Token(id) => out.push(W::of(id)),
                }
                first = false;
            })
        };
        caught(encode).unwrap_or_else(|broken| Err(loaded.broken(&broken)))
    }

    /// Returns how much memory this encoder's own caches take, in bytes.
    pub fn memory(&self) -> usize {
        match self.worker {
            Some(Worker::Engine(_)) => engine::Worker::memory(),
            Some(Worker::Stages(_)) => stages::Worker::memory(),
            Some(Worker::Unigram(_)) | None => 0,
        }
    }

    /// Gives the worker back, for the next encoder of the same tokenizer.
    pub(super) fn give_back(self) {
        if let Some(worker) = self.worker {
            self.loaded.keep(worker);
        }
    }
}

/// Appends the ids of a text by the stages.
fn staged<W: IdWidth>(
    loaded: &Loaded,
    specials: SpecialInText,
    worker: &mut stages::Worker,
    text: &str,
    out: &mut Vec<W>,
) -> Result<(), EncodeError> {
    if text.len() >= MAX_UNIT {
        return Err(EncodeError::TooLong { bytes: text.len(), most: MAX_UNIT - 1 });
    }
    if specials == SpecialInText::Error {
        loaded.vocabulary.added.split(text, specials, |_| {})?;
    }
    let before = out.len();
    let plain = specials == SpecialInText::Plain;
    match bounded(text.len(), || worker.encode(text, plain, out)) {
        Ok(Ok(())) => {
            loaded.counters.stages.add(text.len());
            Ok(())
        }
        Ok(Err(Stop::Oracle)) => {
            out.truncate(before);
            asked(loaded, specials, text, out)
        }
        Ok(Err(Stop::Bound(met))) | Err(Broken::Bound(met)) => Err(loaded.bound(met)),
        Err(broken @ Broken::Panic(_)) => Err(loaded.broken(&broken)),
    }
}

/// Appends the ids of a text by a Unigram model of SentencePiece.
fn scored<W: IdWidth>(
    loaded: &Loaded,
    specials: SpecialInText,
    worker: &mut unigram::Worker,
    text: &str,
    out: &mut Vec<W>,
) -> Result<(), EncodeError> {
    let mut encoded = Ok(());
    let encode = || {
        loaded.vocabulary.added.split(text, specials, |stretch| match stretch {
            Stretch::Text { text, .. } if encoded.is_ok() => encoded = worker.encode(text, out),
            Stretch::Text { .. } => {}
            Stretch::Token(id) => out.push(W::of(id)),
        })
    };
    match bounded(text.len(), encode) {
        Ok(split) => split?,
        Err(Broken::Bound(met)) => return Err(loaded.bound(met)),
        Err(broken @ Broken::Panic(_)) => return Err(loaded.broken(&broken)),
    }
    loaded.counters.unigram.add(text.len());
    encoded.map_err(|met| loaded.bound(met))
}

/// Appends the ids that the oracle gives a text.
fn asked<W: IdWidth>(
    loaded: &Loaded,
    specials: SpecialInText,
    text: &str,
    out: &mut Vec<W>,
) -> Result<(), EncodeError> {
    let ids = loaded.oracle_encode(text, specials)?;
    loaded.counters.tokenizers.add(text.len());
    out.extend(ids.into_iter().map(W::of));
    Ok(())
}

//! The stages of a Hugging Face tokenizer, for every `tokenizer.json` that the engine does not cover.
//!
//! ```text
//! text --added_tokens--> stretches --normalizers--> normalized --added_tokens--> stretches
//!      --pre_tokenizers--> pieces --units, models--> ids
//! ```
//!
//! The ids are those of `tokenizers` 0.23, exactly. Where the stages do not know what it does with a text, which
//! is where it has an error to tell, they stop with [`Stop::Oracle`], and it is asked for this text.
//!
//! To write few bytes is what makes them fast: a normalizer copies a text only where it changes, a
//! pre-tokenizer cuts ranges of one buffer, and the ids of a unit that was met before come from a table.

mod added_tokens;
mod base64;
mod byte_chars;
mod compile;
mod models;
mod normalizers;
mod pattern;
mod pre_tokenizers;
mod stop;
mod traits;
mod units;

#[cfg(test)]
mod tests;

use std::iter;
use std::ops::Range;
use std::sync::Arc;

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use crate::engine::bpe::pairs::Merge;
use crate::engine::id_width::IdWidth;

use added_tokens::Pass;
pub(crate) use added_tokens::Token;
pub(crate) use base64::decode_base64;
pub(crate) use byte_chars::byte_level_chars;
use models::{Bpe, Model, Scratch, Unigram, WordLevel, WordPiece};
pub(crate) use models::{BpeOptions, Trie, piece_link};
pub(crate) use normalizers::CharacterMap;
use normalizers::{Buffers, Normalizers};
use pre_tokenizers::{Pieces, PreTokenizers};
pub(crate) use stop::Stop;
use units::{BATCH, Found, Key, Units, append};

/// The pieces of a vocabulary, and what else its model needs.
#[derive(Debug)]
pub(crate) enum ModelParts<'a> {
    Bpe { pieces: &'a [(&'a str, u32)], merges: &'a [Merge], options: BpeOptions },
    Unigram { pieces: &'a [(String, f64)], unknown: Option<u32>, byte_fallback: bool },
    WordLevel { pieces: &'a [(&'a str, u32)], unknown: &'a str },
    WordPiece { pieces: &'a [(&'a str, u32)], prefix: &'a str, unknown: &'a str, most_chars: usize },
}

/// A tokenizer made ready.
#[derive(Debug)]
pub(crate) struct Stages {
    /// Tokens that stand for themselves.
    raw: Option<Pass>,
    /// Tokens that are looked for in normalized text.
    normalized: Option<Pass>,
    normalizers: Normalizers,
    pre_tokenizers: PreTokenizers,
    model: Model,
}

impl Stages {
    /// Makes the stages of the parts of a tokenizer.
    ///
    /// # Errors
    ///
    /// The reason why it is left to the oracle.
    pub(crate) fn new(
        tokens: Vec<Token>,
        normalizer: Option<NormalizerWrapper>,
        pre_tokenizer: Option<PreTokenizerWrapper>,
        model: &ModelParts<'_>,
    ) -> Result<Self, String> {
        let mut steps = Vec::new();
        if let Some(normalizer) = normalizer {
            compile::normalizer(normalizer, &mut steps)?;
        }
        let normalizers = Normalizers::new(steps);
        let mut steps = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            compile::pre_tokenizer(pre_tokenizer, &mut steps)?;
        }
        let mut pre_tokenizers = PreTokenizers::new(steps);
        pre_tokenizers.leave_marks();
        let model = match model {
            ModelParts::Bpe { pieces, merges, options } => {
                let writes_bytes = pre_tokenizers.leave_bytes();
                Model::Bpe(Bpe::new(pieces.iter().copied(), merges, options.clone(), writes_bytes))
            }
            ModelParts::Unigram { pieces, unknown, byte_fallback } => {
                Model::Unigram(Unigram::new(pieces, *unknown, *byte_fallback)?)
            }
            ModelParts::WordLevel { pieces, unknown } => {
                Model::WordLevel(WordLevel::new(pieces.iter().copied(), unknown))
            }
            ModelParts::WordPiece { pieces, prefix, unknown, most_chars } => Model::WordPiece(
                WordPiece::new(pieces.iter().copied(), prefix, unknown, *most_chars)?,
            ),
        };
        let (mut raw, mut normalized) = (Vec::new(), Vec::new());
        for token in tokens {
            if token.normalized {
                let Ok(text) = normalized_text(&token, &normalizers) else {
                    return Err("its added tokens cannot be normalized".into());
                };
                normalized.push((token, text));
            } else {
                let text = token.content.clone();
                raw.push((token, text));
            }
        }
        let (raw, normalized) = (Pass::new(raw)?, Pass::new(normalized)?);
        Ok(Self { raw, normalized, normalizers, pre_tokenizers, model })
    }

    /// Returns how much memory the tables take that all workers share, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.model.memory()
    }
}

/// Returns the text by which a normalized token is found.
///
/// That is its own text, normalized. Where normalizing changes nothing, it is the last text of a token with the
/// same id before it that normalizing did change: `tokenizers` keeps these texts by their ids.
fn normalized_text(token: &Token, normalizers: &Normalizers) -> Result<String, Stop> {
    let mut buffers = Buffers::default();
    for content in iter::once(&token.content).chain(token.replaced.iter().rev()) {
        let (text, _) = normalizers.apply(content, None, &mut buffers)?;
        if text != content {
            return Ok(text.to_owned());
        }
    }
    Ok(token.content.clone())
}

/// One thread's stages: the shared tables, and what the thread keeps for itself.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    stages: Arc<Stages>,
    own: Own,
}

#[derive(Clone, Debug, Default)]
struct Own {
    buffers: Buffers,
    pieces: Pieces,
    units: Units,
    /// A unit as it is written, where a piece leaves its marks out.
    unit: String,
    scratch: Scratch,
}

impl Worker {
    /// Makes a worker.
    pub(crate) fn new(stages: Arc<Stages>) -> Self {
        Self { stages, own: Own::default() }
    }

    /// Appends the ids of a text; where `plain`, special tokens in it are text.
    ///
    /// # Errors
    ///
    /// A bound is met, or the oracle has to be asked; some ids of the text may then be there.
    pub(crate) fn encode<W: IdWidth>(
        &mut self,
        text: &str,
        plain: bool,
        out: &mut Vec<W>,
    ) -> Result<(), Stop> {
        let Self { stages, own } = self;
        split(stages.raw.as_ref(), text, plain, |stretch, token| match token {
            Some(id) => {
                out.push(W::of(id));
                Ok(())
            }
            None => own.stretch(stages, text, stretch, plain, out),
        })
    }

    /// Returns how much memory the worker's own tables take, in bytes.
    pub(crate) fn memory() -> usize {
        Units::memory()
    }
}

/// Splits a text at the tokens of a pass.
fn split(
    pass: Option<&Pass>,
    text: &str,
    plain: bool,
    mut each: impl FnMut(Range<usize>, Option<u32>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    match pass {
        Some(pass) => pass.split(text, plain, each),
        None if text.is_empty() => Ok(()),
        None => each(0..text.len(), None),
    }
}

impl Own {
    /// Appends the ids of a stretch of a text that has no token that stands for itself.
    fn stretch<W: IdWidth>(
        &mut self,
        stages: &Stages,
        text: &str,
        stretch: Range<usize>,
        plain: bool,
        out: &mut Vec<W>,
    ) -> Result<(), Stop> {
        let Self { buffers, pieces, units, unit, scratch } = self;
        let first = stages.pre_tokenizers.asks_for_first().then(|| {
            let first = text[stretch.clone()].chars().next().map_or(0, char::len_utf8);
            if stretch.start == 0 { first } else { 0 }
        });
        let (text, first) = stages.normalizers.apply(&text[stretch], first, buffers)?;
        split(stages.normalized.as_ref(), text, plain, |stretch, token| {
            if let Some(id) = token {
                out.push(W::of(id));
                return Ok(());
            }
            let first = first.map(|first| first.saturating_sub(stretch.start).min(stretch.len()));
            let (text, found) = stages.pre_tokenizers.apply(&text[stretch], first, pieces)?;
            let mut keys = [Key::default(); BATCH];
            for batch in found.chunks(BATCH) {
                for (key, piece) in keys.iter_mut().zip(batch) {
                    let range = piece.range();
                    *key = units.key(text.as_bytes(), range.start, range.end, piece.is_marked);
                }
                for (&key, &piece) in keys.iter().zip(batch) {
                    let found = units.get(key);
                    if let Found::Ids(ids) = found {
                        append(ids, out);
                        continue;
                    }
                    let unit = stages.pre_tokenizers.unit(text, piece, unit);
                    if let Found::Long = found
                        && let Some(ids) = units.long(unit.as_bytes())
                    {
                        out.extend(ids.iter().map(|&id| W::of(id)));
                        continue;
                    }
                    stages.model.encode(unit, scratch)?;
                    units.insert(key, unit.as_bytes(), &scratch.ids);
                    out.extend(scratch.ids.iter().map(|&id| W::of(id)));
                }
            }
            Ok(())
        })
    }
}

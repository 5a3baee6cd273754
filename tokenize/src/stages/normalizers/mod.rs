//! Normalizers: each rewrites a text as the normalizer of its name in Hugging Face `tokenizers` does.
//!
//! They are lazy. Each looks for the first character that it changes, by a table of ASCII or by the
//! traits of characters; most texts have none, and are not copied. Otherwise the stretches between
//! changed characters are copied as they are.

mod alignment;
mod bert;
mod byte_level;
mod character_map;
mod form;
mod local;
mod precompiled;
mod replace;
mod rewrite;

use crate::bounds::boundary::grow;

use super::stop::Stop;
pub(super) use bert::Bert;
pub(crate) use character_map::CharacterMap;
pub(super) use form::Form;
pub(super) use precompiled::Precompiled;
pub(super) use replace::Replace;
use rewrite::PART;

/// One step of a normalizer.
#[derive(Debug)]
pub(super) enum Normalizer {
    Form(Form),
    Nmt,
    Lowercase,
    StripAccents,
    ByteLevel,
    Bert(Bert),
    Precompiled(Box<Precompiled>),
    Replace(Replace),
    /// Puts a text that is not empty before one that is not empty.
    Prepend(Box<str>),
    Strip {
        left: bool,
        right: bool,
    },
}

impl Normalizer {
    /// Appends the rewritten text; returns false, and appends nothing, where it stays as it is.
    fn apply(&self, text: &str, out: &mut String) -> Result<bool, Stop> {
        Ok(match self {
            Self::Form(form) => form.apply(text, out),
            Self::Nmt => local::nmt(text, out),
            Self::Lowercase => local::lowercase(text, out),
            Self::StripAccents => local::strip_accents(text, out),
            Self::ByteLevel => byte_level::apply(text, out),
            Self::Bert(bert) => bert.apply(text, out),
            Self::Precompiled(map) => map.apply(text, out)?,
            Self::Replace(replace) => replace.apply(text, out)?,
            Self::Prepend(prefix) => prepend(prefix, text, out)?,
            Self::Strip { left, right } => {
                let stripped = strip(text, *left, *right);
                let changed = stripped.len() != text.len();
                if changed {
                    out.push_str(stripped);
                }
                changed
            }
        })
    }

    /// Returns how many bytes of the rewritten text stand for the first character of the document, of
    /// which `first` bytes of the text do.
    fn first(&self, text: &str, first: usize) -> Result<usize, Stop> {
        if first == 0 {
            return Ok(0);
        }
        Ok(match self {
            Self::Form(form) => form.first(text, first),
            Self::Nmt | Self::Lowercase | Self::StripAccents | Self::ByteLevel => {
                // Each character becomes what it becomes wherever it stands.
                let mut out = String::new();
                if self.apply(&text[..first], &mut out)? { out.len() } else { first }
            }
            Self::Bert(bert) => bert.first(text, first),
            Self::Precompiled(map) => map.first(text, first)?,
            Self::Replace(replace) => replace.first(text, first)?,
            Self::Prepend(prefix) => first + prefix.len(),
            Self::Strip { left, right } => {
                let removed = text.len() - strip(text, *left, false).len();
                first.saturating_sub(removed).min(strip(text, *left, *right).len())
            }
        })
    }
}

fn strip(text: &str, left: bool, right: bool) -> &str {
    let text = if left { text.trim_start() } else { text };
    if right { text.trim_end() } else { text }
}

fn prepend(prefix: &str, text: &str, out: &mut String) -> Result<bool, Stop> {
    if text.is_empty() {
        return Ok(false);
    }
    grow(PART, prefix.len())?;
    out.reserve(prefix.len() + text.len());
    out.push_str(prefix);
    out.push_str(text);
    Ok(true)
}

/// The steps of a normalizer, one after the other.
#[derive(Debug, Default)]
pub(super) struct Normalizers {
    steps: Vec<Normalizer>,
}

/// Buffers that texts are rewritten in.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    text: String,
    next: String,
}

impl Normalizers {
    /// Makes a normalizer of steps.
    pub(super) fn new(steps: Vec<Normalizer>) -> Self {
        Self { steps }
    }

    /// Returns the rewritten text, and how many of its bytes stand for the first character of the
    /// document; `first` says so of the text, or is none where nobody asks.
    ///
    /// # Errors
    ///
    /// A bound is met, or the oracle has to be asked.
    pub(super) fn apply<'a>(
        &self,
        text: &'a str,
        first: Option<usize>,
        buffers: &'a mut Buffers,
    ) -> Result<(&'a str, Option<usize>), Stop> {
        let (mut rewritten, mut first) = (false, first);
        for step in &self.steps {
            let now = if rewritten { buffers.text.as_str() } else { text };
            buffers.next.clear();
            first = first.map(|first| step.first(now, first)).transpose()?;
            if step.apply(now, &mut buffers.next)? {
                let counted = match step {
                    // These have drawn on the bound already.
                    Normalizer::Replace(_) | Normalizer::Prepend(_) => 0,
                    _ => buffers.next.len().saturating_sub(now.len()),
                };
                grow(PART, counted)?;
                std::mem::swap(&mut buffers.text, &mut buffers.next);
                rewritten = true;
            }
        }
        Ok((if rewritten { &buffers.text } else { text }, first))
    }
}

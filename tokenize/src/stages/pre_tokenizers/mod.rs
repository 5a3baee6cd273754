//! Pre-tokenizers: each cuts a text as the pre-tokenizer of its name in Hugging Face `tokenizers` does.
//!
//! Pieces are ranges of one buffer. A step that only cuts replaces each range by the ranges within it; a step
//! that writes the text otherwise, which is `Metaspace` or `ByteLevel`, writes a new buffer. What is empty is
//! no piece.

mod behaviour;
mod byte_level;
mod char_set;
mod classes;
mod metaspace;
mod scripts;

use crate::bounds::boundary::grow;

use super::pattern::Pattern;
use super::stop::Stop;
pub(super) use behaviour::Behaviour;
use behaviour::Splits;
pub(super) use byte_level::ByteLevel;
pub(super) use char_set::CharSet;
pub(super) use metaspace::{Metaspace, PrependScheme};

/// What bounds call this part of a tokenizer.
pub(super) const PART: &str = "pre-tokenizer";

/// A piece of a text, by the places of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Piece {
    /// Makes a piece of places that [`Pieces::begin`] has bounded.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end) }
    }

    /// Returns the piece as a range.
    #[inline]
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One step of a pre-tokenizer.
#[derive(Debug)]
pub(super) enum PreTokenizer {
    /// `WhitespaceSplit`, `Digits`, `Punctuation` and `CharDelimiterSplit`.
    Chars {
        set: CharSet,
        behaviour: Behaviour,
    },
    /// `Whitespace`: words, and runs of what is neither word nor space.
    Whitespace,
    Bert,
    Split {
        pattern: Pattern,
        behaviour: Behaviour,
        invert: bool,
    },
    FixedLength(usize),
    UnicodeScripts,
    Metaspace(Metaspace),
    ByteLevel(ByteLevel),
}

/// The steps of a pre-tokenizer, one after the other.
#[derive(Debug, Default)]
pub(super) struct PreTokenizers {
    steps: Vec<PreTokenizer>,
}

/// The pieces of a text, and the buffers that it is rewritten in.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    ranges: Vec<Piece>,
    next: Vec<Piece>,
    text: String,
    next_text: String,
    is_rewritten: bool,
    /// How many bytes of the text stand for the first character of the document, where a step asks.
    first: Option<usize>,
}

impl Pieces {
    fn begin(&mut self, text: &str, first: Option<usize>) {
        self.is_rewritten = false;
        self.first = first;
        self.ranges.clear();
        if !text.is_empty() {
            self.ranges.push(Piece::new(0, text.len()));
        }
    }

    /// Replaces each piece by those that `cut` adds for its text, as places in that text.
    fn cut(
        &mut self,
        text: &str,
        mut cut: impl FnMut(&str, usize, &mut Vec<Piece>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let text = if self.is_rewritten { &self.text } else { text };
        self.next.clear();
        for piece in &self.ranges {
            cut(&text[piece.range()], piece.start as usize, &mut self.next)?;
        }
        std::mem::swap(&mut self.ranges, &mut self.next);
        Ok(())
    }

    /// Writes the text of each piece otherwise, one after the other. `write` gets whether the piece stands
    /// for the first character of the document, and adds pieces.
    ///
    /// # Errors
    ///
    /// The text gets too long.
    fn rewrite(
        &mut self,
        text: &str,
        mut write: impl FnMut(&str, bool, &mut String, &mut Vec<Piece>, usize) -> usize,
    ) -> Result<(), Stop> {
        let old = if self.is_rewritten { &self.text } else { text };
        self.next.clear();
        self.next_text.clear();
        self.next_text.reserve(old.len());
        let (mut new_first, mut before) = (0, 0);
        for piece in &self.ranges {
            let range = piece.range();
            before += range.len();
            let first = self.first.unwrap_or(0);
            let is_first = range.start < first;
            let of_first = first.saturating_sub(range.start).min(range.len());
            let kept = write(&old[range], is_first, &mut self.next_text, &mut self.next, of_first);
            if is_first {
                new_first = kept;
            }
        }
        self.first = self.first.map(|_| new_first);
        grow(PART, self.next_text.len().saturating_sub(before))?;
        if u32::try_from(self.next_text.len()).is_err() {
            return Err(Stop::Oracle);
        }
        std::mem::swap(&mut self.text, &mut self.next_text);
        std::mem::swap(&mut self.ranges, &mut self.next);
        self.is_rewritten = true;
        Ok(())
    }
}

impl PreTokenizers {
    /// Makes a pre-tokenizer of steps.
    pub(super) fn new(steps: Vec<PreTokenizer>) -> Self {
        Self { steps }
    }

    /// Returns whether a step asks which pieces stand for the first character of the document.
    pub(super) fn asks_for_first(&self) -> bool {
        self.steps.iter().any(
            |step| matches!(step, PreTokenizer::Metaspace(metaspace) if metaspace.asks_for_first()),
        )
    }

    /// Leaves the last step's bytes as they are, where it would write each as a character; returns whether
    /// there is such a step.
    pub(super) fn leave_bytes(&mut self) -> bool {
        match self.steps.last_mut() {
            Some(PreTokenizer::ByteLevel(step)) => {
                step.leave_bytes();
                true
            }
            _ => false,
        }
    }

    /// Returns the pieces of a text, and the text that they are places of.
    ///
    /// # Errors
    ///
    /// A bound is met, or the oracle has to be asked.
    pub(super) fn apply<'a>(
        &self,
        text: &'a str,
        first: Option<usize>,
        pieces: &'a mut Pieces,
    ) -> Result<(&'a str, &'a [Piece]), Stop> {
        if u32::try_from(text.len()).is_err() {
            return Err(Stop::Oracle);
        }
        pieces.begin(text, first);
        for step in &self.steps {
            step.apply(text, pieces)?;
        }
        let text = if pieces.is_rewritten { &pieces.text } else { text };
        Ok((text, &pieces.ranges))
    }
}

impl PreTokenizer {
    fn apply(&self, text: &str, pieces: &mut Pieces) -> Result<(), Stop> {
        match self {
            Self::Chars { set, behaviour } => pieces.cut(text, |text, base, out| {
                set.split(text, base, *behaviour, out);
                Ok(())
            }),
            Self::Whitespace => pieces.cut(text, |text, base, out| {
                classes::words(text, base, out);
                Ok(())
            }),
            Self::Bert => pieces.cut(text, |text, base, out| {
                classes::bert(text, base, out);
                Ok(())
            }),
            Self::Split { pattern, behaviour, invert } => pieces
                .cut(text, |text, base, out| split(pattern, *behaviour, *invert, text, base, out)),
            Self::FixedLength(length) => pieces.cut(text, |text, base, out| {
                fixed_length(*length, text, base, out);
                Ok(())
            }),
            Self::UnicodeScripts => pieces.cut(text, |text, base, out| {
                scripts::split(text, base, out);
                Ok(())
            }),
            Self::Metaspace(metaspace) => metaspace.apply(text, pieces),
            Self::ByteLevel(byte_level) => byte_level.apply(text, pieces),
        }
    }
}

/// Splits a text by a pattern.
fn split(
    pattern: &Pattern,
    behaviour: Behaviour,
    invert: bool,
    text: &str,
    base: usize,
    out: &mut Vec<Piece>,
) -> Result<(), Stop> {
    let mut splits = Splits::new(behaviour, base, out);
    let mut done = 0;
    pattern.matches(text, |start, end| {
        if done != start {
            splits.add(done, start, invert);
        }
        splits.add(start, end, !invert);
        done = end;
        Ok(true)
    })?;
    if done != text.len() {
        splits.add(done, text.len(), invert);
    }
    splits.finish();
    Ok(())
}

/// Cuts a text after every so many characters.
fn fixed_length(length: usize, text: &str, base: usize, out: &mut Vec<Piece>) {
    let mut start = 0;
    let starts = text.char_indices().map(|(place, _)| place);
    for end in starts.step_by(length).skip(1).chain([text.len()]) {
        out.push(Piece::new(base + start, base + end));
        start = end;
    }
}

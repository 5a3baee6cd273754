//! Pre-tokenizers: each cuts a text as the pre-tokenizer of its name in Hugging Face `tokenizers` does.
//!
//! Pieces are ranges of one buffer. A step that only cuts replaces each range by the ranges within it; a step
//! that writes the text otherwise, which is `Metaspace` or `ByteLevel`, writes a new buffer. What is empty is
//! no piece.

mod behaviour;
mod byte_level;
mod char_set;
mod metaspace;
mod pieces;
mod runs;
mod scripts;
mod split;

use super::pattern::Pattern;
use super::stop::Stop;
pub(super) use behaviour::Behaviour;
pub(super) use byte_level::ByteLevel;
pub(super) use char_set::CharSet;
pub(super) use metaspace::{Metaspace, PrependScheme};
pub(super) use pieces::{PART, Piece, Pieces};
pub(super) use runs::{Cut, Runs};
use split::split;

/// One step of a pre-tokenizer.
#[derive(Debug)]
pub(super) enum PreTokenizer {
    /// Most of those that tell characters apart by classes.
    Runs(Box<Runs>),
    /// `CharDelimiterSplit`, and `Punctuation` that is merged with what stands next to it.
    Chars {
        set: CharSet,
        behaviour: Behaviour,
    },
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

    /// Leaves the last step's spaces as they are, where it would write each as a mark: [`PreTokenizers::unit`]
    /// writes them.
    pub(super) fn leave_marks(&mut self) {
        if let Some(PreTokenizer::Metaspace(step)) = self.steps.last_mut() {
            step.leave_marks();
        }
    }

    /// Returns what a piece stands for.
    pub(super) fn unit<'a>(&self, text: &'a str, piece: Piece, out: &'a mut String) -> &'a str {
        let text = &text[piece.range()];
        match self.steps.last() {
            Some(PreTokenizer::Metaspace(step)) => step.unit(text, piece.is_marked, out),
            _ => text,
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
        Ok(pieces.of(text))
    }
}

impl PreTokenizer {
    fn apply(&self, text: &str, pieces: &mut Pieces) -> Result<(), Stop> {
        match self {
            Self::Chars { set, behaviour } => pieces.cut(text, |text, base, out| {
                set.split(text, base, *behaviour, out);
                Ok(())
            }),
            Self::Runs(runs) => pieces.cut(text, |text, base, out| {
                runs.cut(text, base, out);
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

/// Cuts a text after every so many characters.
fn fixed_length(length: usize, text: &str, base: usize, out: &mut Vec<Piece>) {
    let mut start = 0;
    let starts = text.char_indices().map(|(place, _)| place);
    for end in starts.step_by(length).skip(1).chain([text.len()]) {
        out.push(Piece::new(base + start, base + end));
        start = end;
    }
}

//! Rules about texts: those of Gopher, C4 and FineWeb, each as datatrove decides it.
//!
//! `scripts/check_filters.py` compares the decisions with datatrove's, text by text.

mod c4;
mod fineweb;
mod gopher_quality;
mod gopher_repetition;
mod settings;

use std::borrow::Cow;
use std::ops::Range;

pub use settings::{Rules, RulesError};

use crate::words::WordReader;

/// A text with what several rules count of it.
pub(super) struct Counted<'a> {
    pub(super) text: &'a str,
    /// How many characters it has.
    chars: Option<usize>,
    words: Option<Vec<Range<usize>>>,
}

impl<'a> Counted<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, chars: None, words: None }
    }

    fn chars(&mut self) -> usize {
        *self.chars.get_or_insert_with(|| self.text.chars().count())
    }

    fn words(&mut self, reader: &mut WordReader) -> &[Range<usize>] {
        self.words.get_or_insert_with(|| {
            let mut words = Vec::new();
            reader.words(self.text, &mut words);
            words
        })
    }
}

/// What rules decide of a text.
pub(super) enum Ruled<'a> {
    /// All rules keep it, maybe with some of its lines.
    Kept(Cow<'a, str>),
    /// A rule leaves it out.
    Left(Cow<'static, str>),
}

impl Rules {
    /// Returns whether there are any.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Decides about a text.
    pub(super) fn decide<'a>(&self, reader: &mut WordReader, text: &'a str) -> Ruled<'a> {
        let mut counted = Counted::new(text);
        if let Some(rules) = &self.gopher_repetition
            && let Some(reason) = rules.reason(&mut counted, reader)
        {
            return Ruled::Left(reason);
        }
        if let Some(rules) = &self.gopher_quality
            && let Some(reason) = rules.reason(&mut counted, reader)
        {
            return Ruled::Left(reason.into());
        }
        let mut kept = Cow::Borrowed(text);
        if let Some(rules) = &self.c4 {
            match rules.lines(text, reader) {
                Err(reason) => return Ruled::Left(reason.into()),
                Ok(lines) if lines == text => {}
                Ok(lines) => kept = Cow::Owned(lines),
            }
        }
        if let Some(rules) = &self.fineweb {
            let reason = match &kept {
                Cow::Borrowed(_) => rules.reason(&mut counted, reader),
                Cow::Owned(text) => rules.reason(&mut Counted::new(text), reader),
            };
            if let Some(reason) = reason {
                return Ruled::Left(reason.into());
            }
        }
        Ruled::Kept(kept)
    }
}

/// Returns the share of a count; of nothing there is none.
fn share(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// Counts the texts that were there before, and their characters.
fn duplicates<'a>(texts: impl Iterator<Item = &'a str>) -> (usize, usize) {
    let mut seen = std::collections::HashSet::new();
    let (mut count, mut chars) = (0, 0);
    for text in texts {
        if !seen.insert(text) {
            count += 1;
            chars += text.chars().count();
        }
    }
    (count, chars)
}

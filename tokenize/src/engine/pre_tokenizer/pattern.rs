//! What splits a text of a byte-level vocabulary.

use super::block_classes::{ClassTable, Family};
use super::gpt4::{self, Rules};
use super::splits::{PieceEnds, Splits};
use super::unit_blocks::Blocks;
use super::{char_class, deepseek, gpt2};
use crate::engine::simd::Level;

/// A byte-level pre-tokenizer.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// GPT-2's pattern.
    Gpt2,
    /// A pattern of GPT-4's family.
    Gpt4(Rules),
    /// DeepSeek-V3's three patterns.
    DeepSeek,
    /// Any others.
    Splits(Splits),
}

impl Pattern {
    /// Recognizes a pattern that has a form of its own.
    pub(crate) fn known(regex: &str) -> Option<Self> {
        if gpt2::is_gpt2(regex) {
            return Some(Self::Gpt2);
        }
        Rules::from_regex(regex).map(Self::Gpt4)
    }

    /// Recognizes patterns one after the other that have a form of their own; each keeps its matches and what is
    /// between them.
    pub(crate) fn known_sequence(regexes: &[&str]) -> Option<Self> {
        deepseek::is_deepseek(regexes).then_some(Self::DeepSeek)
    }

    /// Returns the mask form of a known pattern over a text.
    pub(super) fn blocks<'a>(&self, level: Level, text: &'a str) -> Option<Blocks<'a>> {
        let (family, digits) = match self {
            Self::Gpt2 => (Family::Gpt2, usize::MAX),
            Self::Gpt4(rules) if rules.cased => (Family::CasedWords, rules.digits),
            Self::Gpt4(rules) => (Family::Words, rules.digits),
            Self::DeepSeek => (Family::DeepSeek, deepseek::DIGITS),
            Self::Splits(_) => return None,
        };
        Some(Blocks { family, digits, level, table: ClassTable::of(family), text })
    }

    /// Returns how much memory its tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Gpt2 | Self::Gpt4(_) => char_class::memory() + ClassTable::memory(),
            Self::DeepSeek => char_class::memory() + deepseek::memory() + ClassTable::memory(),
            Self::Splits(splits) => splits.memory(),
        }
    }

    /// Returns whether no unit crosses the place between two characters, whatever surrounds them.
    ///
    /// The known patterns end a run of letters before punctuation other than an apostrophe. Elsewhere a
    /// pattern looks further than two characters, so nothing is promised.
    pub(crate) fn is_cut(&self, before: char, after: char) -> bool {
        match self {
            Self::Gpt2 | Self::Gpt4(_) | Self::DeepSeek => {
                before.is_ascii_alphabetic() && matches!(after, ':' | '.' | ',' | ';' | '?' | '!')
            }
            Self::Splits(_) => false,
        }
    }
}

/// What finds the units of a pattern one by one.
pub(super) enum UnitWalk<'a> {
    Gpt2(&'a str),
    Gpt4(gpt4::Walk<'a>),
    DeepSeek(deepseek::Walk<'a>),
    Splits(&'a Splits, &'a str),
}

impl<'a> UnitWalk<'a> {
    /// Begins a walk.
    pub(super) fn new(pattern: &'a Pattern, level: Level, text: &'a str) -> Self {
        match pattern {
            Pattern::Gpt2 => Self::Gpt2(text),
            Pattern::Gpt4(rules) => Self::Gpt4(gpt4::Walk::new(*rules, level, text)),
            Pattern::DeepSeek => Self::DeepSeek(deepseek::Walk::new(text)),
            Pattern::Splits(splits) => Self::Splits(splits, text),
        }
    }

    /// Returns the end of the unit that begins at `start`, which is before the end of the text; `pieces` is kept from
    /// one unit to the next.
    pub(super) fn unit_end(&mut self, start: usize, pieces: &mut PieceEnds) -> usize {
        match self {
            Self::Gpt2(text) => gpt2::unit_end(text, start),
            Self::Gpt4(walk) => walk.unit_end(start),
            Self::DeepSeek(walk) => walk.unit_end(start),
            Self::Splits(splits, text) => splits.unit_end(text, start, pieces),
        }
    }
}

#[cfg(test)]
use super::cutter::{CutState, Cuts, Cutter, Window};

#[cfg(test)]
impl Pattern {
    /// Returns where the units of a text end, by windows.
    pub(super) fn ends(self, level: Level, text: &str) -> Vec<usize> {
        let cutter = Cutter::Pattern(self);
        let (mut state, mut cuts) = (CutState::new(false), Cuts::default());
        let mut ends = Vec::new();
        for window in Window::all(text) {
            cutter.cuts(level, &mut state, window, &mut cuts);
            ends.extend(cuts.ends().iter().map(|&end| end as usize));
        }
        ends
    }
}

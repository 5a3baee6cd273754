//! What splits a text of a byte-level vocabulary.

use super::char_class;
use super::gpt2;
use super::gpt4::Rules;
use super::splits::Splits;

/// A byte-level pre-tokenizer.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// GPT-2's pattern.
    Gpt2,
    /// A pattern of GPT-4's family.
    Gpt4(Rules),
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

    /// Returns how much memory its tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Gpt2 | Self::Gpt4(_) => char_class::memory(),
            Self::Splits(splits) => splits.memory(),
        }
    }

    /// Returns whether no unit crosses the place between two characters, whatever surrounds them.
    ///
    /// The known patterns end a run of letters before punctuation other than an apostrophe. Elsewhere a
    /// pattern looks further than two characters, so nothing is promised.
    pub(crate) fn is_cut(&self, before: char, after: char) -> bool {
        match self {
            Self::Gpt2 | Self::Gpt4(_) => {
                before.is_ascii_alphabetic() && matches!(after, ':' | '.' | ',' | ';' | '?' | '!')
            }
            Self::Splits(_) => false,
        }
    }
}

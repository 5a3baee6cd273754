//! The byte-level patterns that the engine knows.

use super::char_class;
use super::gpt2;
use super::gpt4::Rules;

/// A pre-tokenization pattern that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// GPT-2's.
    Gpt2,
    /// One of GPT-4's family.
    Gpt4(Rules),
}

impl Pattern {
    /// Recognizes a pattern by its text.
    pub(crate) fn from_regex(regex: &str) -> Option<Self> {
        if gpt2::is_gpt2(regex) {
            return Some(Self::Gpt2);
        }
        Rules::from_regex(regex).map(Self::Gpt4)
    }

    /// Returns how much memory its tables take, in bytes.
    pub(crate) fn memory(self) -> usize {
        match self {
            Self::Gpt2 | Self::Gpt4(_) => char_class::memory(),
        }
    }
}

//! What is wrong with a predicate, shown below its text with a caret.

use std::fmt;
use std::ops::Range;

/// An error in the text of a predicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateError {
    text: String,
    at: Range<usize>,
    message: String,
    hint: Option<String>,
}

impl PredicateError {
    pub(super) fn new(text: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        Self { text: text.to_owned(), at, message: message.into(), hint: None }
    }

    pub(super) fn hinted(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns what is wrong, without the text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl std::error::Error for PredicateError {}

impl fmt::Display for PredicateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Line ends and tabs of the text would move the caret.
        let shown = |text: &str| text.replace(|sign: char| sign.is_control(), " ");
        let before = shown(&self.text[..self.at.start]).chars().count();
        let width = shown(&self.text[self.at.clone()]).chars().count().max(1);
        write!(
            f,
            "{}\n  {}\n  {}{}",
            self.message,
            shown(&self.text),
            " ".repeat(before),
            "^".repeat(width)
        )
    }
}

//! Why the stages stop within a text.

use crate::bounds::Bound;

/// Why a text is not encoded by the stages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The tokenizer asks for more than one text may cost.
    Bound(Bound),
    /// Hugging Face `tokenizers` has an error for this text, or does something here that the stages do not
    /// repeat: it has to be asked.
    Oracle,
}

impl From<Bound> for Stop {
    fn from(bound: Bound) -> Self {
        Self::Bound(bound)
    }
}

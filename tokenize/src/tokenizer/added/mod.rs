//! Added tokens: the special ones and others, which are found before the text is pre-tokenized.

mod finder;
pub(crate) mod token;
pub(crate) mod tokens;

//! Tokenizer files that are broken, hostile or something else, through the command line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
mod support;
mod told;

//! Any other pattern of a `tokenizer.json`, on an automaton.
//!
//! Hugging Face `tokenizers` runs patterns on Oniguruma, which backtracks. Here `syntax.rs` reads
//! Oniguruma's syntax, `lower.rs` takes apart what an automaton cannot do (possessive quantifiers and the
//! look-ahead `(?!\S)`) where that is exact, `oniguruma.rs` asks for the characters of a class, and
//! `split_regex.rs` searches. A pattern that this does not
//! cover is an error that says why, and it stays with Oniguruma.

mod lower;
mod oniguruma;
pub(crate) mod split_regex;
mod syntax;

//! Any other pattern of a `tokenizer.json`, on an automaton.
//!
//! Hugging Face `tokenizers` runs patterns on Oniguruma, which backtracks. Here `syntax.rs` reads
//! Oniguruma's syntax, `lower.rs` takes apart what an automaton cannot do (possessive quantifiers and the
//! look-ahead `(?!\S)`) where that is exact, and `split_regex.rs` searches. A pattern that this does not
//! cover is an error that says why, and its tokenizer is left to `tokenizers`.

mod lower;
pub(crate) mod split_regex;
mod syntax;

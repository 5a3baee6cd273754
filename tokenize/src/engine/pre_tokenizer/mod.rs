//! Pre-tokenization: where a text is cut into units.
//!
//! `cutter.rs` goes through a text in windows and blocks. What decides a cut is either `joins.rs`, for
//! SentencePiece-style vocabularies, or a byte-level pattern: `gpt2.rs`, `gpt4.rs` and
//! `gpt4_blocks.rs` for GPT-4's family, or `splits.rs` for all others, with the automatons of `regex`.

mod char_class;
mod contraction;
pub(crate) mod cutter;
pub(crate) mod gpt2;
mod gpt4;
mod gpt4_blocks;
pub(crate) mod joins;
pub(crate) mod pattern;
pub(crate) mod regex;
pub(crate) mod splits;

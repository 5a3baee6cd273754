//! Pre-tokenization: where a text is cut into units.
//!
//! `cutter.rs` goes through a text in windows and blocks. What decides a cut is either `joins.rs`, for
//! SentencePiece-style vocabularies, or a byte-level pattern: `gpt2.rs`, `gpt4.rs` and `deepseek.rs` follow known ones
//! unit by unit, and `unit_blocks.rs` finds their cuts by masks; `splits.rs` follows all others, with the automatons of
//! `regex`.

mod block_classes;
mod char_class;
mod contraction;
pub(crate) mod cutter;
mod deepseek;
pub(crate) mod gpt2;
mod gpt4;
pub(crate) mod joins;
pub(crate) mod pattern;
pub(crate) mod regex;
pub(crate) mod splits;
mod unit_blocks;

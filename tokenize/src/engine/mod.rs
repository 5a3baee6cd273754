//! The BPE engine: texts to ids, exactly and fast.
//!
//! It has three rooms. [`pre_tokenizer`] cuts a text into units that no merge crosses: `joins.rs` says
//! why that is exact for SentencePiece-style vocabularies; byte-level ones have their pattern instead.
//! [`cache`] looks each unit up in a bounded table that all threads share. [`bpe`] merges what the
//! cache does not have, and the cache keeps the result:
//!
//! ```text
//! text --pre_tokenizer--> units --cache--> ids
//!                            \----bpe----/
//! ```
//!
//! `bpe/definition.rs` is the plain twin: the definition of BPE, word for word, over the whole text.

pub(crate) mod bpe;
mod cache;
pub(crate) mod compiled;
mod counter;
mod encode;
pub(crate) mod id_width;
pub(crate) mod mask;
pub(crate) mod pre_tokenizer;
pub(crate) mod runs;
mod simd;

pub(crate) use bpe::merger::MAX_UNIT;
pub(crate) use cache::long_units::LongUnits;
pub(crate) use cache::shared_long_units::LongHash;
pub(crate) use cache::shared_units::MAX_IDS;
pub(crate) use counter::Counter;
pub(crate) use encode::{Engine, Worker};
pub(crate) use simd::{
    Kernel, Level, VARIABLE as LEVEL_VARIABLE, class_masks, prefetch, run as at_level,
};

//! Text to token ids: vocabularies, the BPE engine, sources, random orders, packing and masking.

pub mod engine;
pub mod tokenizer;

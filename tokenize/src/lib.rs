//! Text to token ids: vocabularies, the BPE engine, sources, random orders, packing and masking.

pub mod corpus;
pub mod engine;
pub mod hub;
pub mod order;
pub mod source;
pub mod tokenizer;

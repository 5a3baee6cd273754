//! Text to token ids: vocabularies, the BPE engine, sources, random orders, packing and masking.

pub mod corpus;
mod difference;
pub mod engine;
pub mod hub;
pub mod order;
pub mod pack;
pub mod sft;
mod share;
pub mod source;
mod staging;
pub mod tokenizer;

pub use difference::difference;
pub use share::Share;

//! The demo's inputs: a corpus and a tokenizer, made from nothing and the same every time.

mod corpus;
mod tokenizer;

pub(crate) use corpus::write_corpus;
pub(crate) use tokenizer::train_tokenizer;

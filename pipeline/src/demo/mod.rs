//! The demo's inputs: a corpus, questions and a tokenizer. They need no input and are the same every
//! time.

mod corpus;
mod questions;
mod tokenizer;

pub(crate) use corpus::write_corpus;
pub(crate) use questions::write_questions;
pub(crate) use tokenizer::train_tokenizer;

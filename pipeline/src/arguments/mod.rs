//! Options that several commands share, and what they stand for.

mod decoding;
mod packing;
mod pipeline;
pub(crate) mod tokenizer;

pub(crate) use decoding::DecodingArgs;
pub(crate) use packing::PackingArgs;
pub(crate) use pipeline::{PipelineArgs, Program, check_store};

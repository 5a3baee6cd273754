//! Options that several commands share, and what they stand for.

mod decoding;
mod left_out;
mod packing;
mod pipeline;
mod rows;
mod standard_input;
pub(crate) mod tokenizer;

pub(crate) use decoding::DecodingArgs;
pub(crate) use left_out::tell_left_out;
pub(crate) use packing::PackingArgs;
pub(crate) use pipeline::{PipelineArgs, Program, check_store};
pub(crate) use rows::RowsArgs;
pub(crate) use standard_input::Inputs;

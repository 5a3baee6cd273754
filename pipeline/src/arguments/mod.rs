//! Options that several commands share, and what they stand for.

mod packing;
mod pipeline;
pub(crate) mod tokenizer;
mod width;

pub(crate) use packing::{PackingArg, PackingArgs};
pub(crate) use pipeline::{PipelineArgs, Program, check_store};
pub(crate) use width::Width;

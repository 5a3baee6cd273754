//! LongBench's tasks: its prompts, and the rows of its files as prompts that are cut in their middle.
//!
//! ```text
//! rows.rs      the rows of a task's file -> prompts with answers
//!   -> tasks.rs   the prompt of each task, and how many tokens an answer has
//!   -> cut.rs     a long prompt without its middle
//! ```

mod cut;
mod rows;
mod tasks;

pub(crate) use rows::{FILES_HINT, prompts_of};
pub(crate) use tasks::LongBenchTask;

//! Tasks of another program, lm-evaluation-harness, which asks a served model.
//!
//! ```text
//! lm_eval.rs     the harness's process, its arguments and what it found
//!   -> server.rs    a process of `ratdata serve`
//!   -> scores.rs    the harness's results as a table
//! ```

mod lm_eval;
mod scores;
mod server;

pub(crate) use lm_eval::{HarnessOptions, evaluate};

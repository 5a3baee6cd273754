//! The commands that take rows and give rows, on the command line and as steps of a pipeline.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod decontaminate;
mod dedup;
mod filter;
mod support;

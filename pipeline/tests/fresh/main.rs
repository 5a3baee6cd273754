//! Results and the files that they were made from: an edit is seen wherever it is, a touch costs one
//! read, and what was left alone costs none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hand;
mod rows;
mod steps;
mod tokens;

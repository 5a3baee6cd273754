//! Arrow, arrays of JSON, separated values and archives, for every command that reads rows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crashes;
mod rows;
mod support;
mod wrong;

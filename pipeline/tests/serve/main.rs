//! `ratdata serve`: the wire that clients expect, with the real trainer where it was built next to
//! `ratdata`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "it says that the trainer was not built")]

mod client;
mod ends;
mod harness;
mod load;
mod support;
mod wire;

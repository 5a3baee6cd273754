//! Fetching by name, from a small server that speaks the hub's tree and file addresses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chosen;
mod fetched;
mod small_hub;
mod support;
mod told;

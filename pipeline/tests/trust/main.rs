//! Seeing and trusting artifacts: inspect, verify and trace, on whole ones and on hostile ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod foreign;
mod hostile;
mod look;
mod support;
mod trace;
mod verify;

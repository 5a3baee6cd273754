//! Pipelines: steps that take each other's results, planned by what decides their bytes.
//!
//! [`mod@file`] reads and checks, [`kinds`] knows what steps there are, [`graph`] orders them,
//! [`fingerprint`] says what a step's bytes are decided by, [`plan`] finds what is stale and why,
//! [`settings`] says what a cluster is told,
//! and [`draw`] draws it. Whoever carries a plan out is an executor's business.

pub(crate) mod draw;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod fingerprint;
pub(crate) mod graph;
pub(crate) mod kinds;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod settings;

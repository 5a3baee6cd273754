//! Pipelines: steps that take each other's results, planned by what decides their bytes.
//!
//! [`mod@file`] reads and checks, [`kinds`] knows what steps there are and [`names`] what their values
//! may be called, [`graph`] orders them,
//! [`outside`] reads the files that steps take, [`fingerprint`] says what a step's bytes are decided by, [`plan`] finds what is stale and why,
//! [`outputs`] keeps steps from each other's results, [`sections`] reads what stands beside the
//! steps, [`settings`] says what a cluster is told, and [`draw`] draws it. Whoever carries a plan out is an executor's business.

pub(crate) mod draw;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod fingerprint;
pub(crate) mod graph;
pub(crate) mod kinds;
pub(crate) mod names;
pub(crate) mod outputs;
pub(crate) mod outside;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod sections;
pub(crate) mod settings;

//! Pipelines: steps that take each other's results, planned by what decides their bytes.
//!
//! ```text
//! pipeline.toml -> Pipeline     file.rs         each mistake has a line; embedded.rs holds those compiled in
//!   tables      -> sections     sections.rs     `[resources]`, `[executor.slurm]` (settings.rs),
//!                                                `[executor.kubernetes]` (kubernetes_settings.rs) and
//!                                                `[executor.ray]` (ray_settings.rs)
//!   [steps.x]   -> Step         step.rs         checked against its kind (step_kind.rs, step_key.rs)
//!               -> words        arguments.rs    as the command line reads them
//!               -> links        outputs.rs      no result lies inside another
//! steps         -> order        graph.rs
//! input files   -> Content      outside.rs      read whole once, until they are touched
//! step, content -> fingerprint  fingerprint.rs
//!               -> Plan         plan.rs         fresh, or stale and why; draw.rs draws it
//! ```
//!
//! An executor carries a plan out.

pub(crate) mod arguments;
pub(crate) mod draw;
pub(crate) mod embedded;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod fingerprint;
pub(crate) mod graph;
pub(crate) mod kubernetes_settings;
pub(crate) mod outputs;
pub(crate) mod outside;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod ray_settings;
pub(crate) mod sections;
pub(crate) mod settings;
pub(crate) mod step;
pub(crate) mod step_key;
pub(crate) mod step_kind;

//! Executors: who carries a plan out, and where.
//!
//! [`run`] is one run of a plan and its record. [`task`] is one step with everything that its process
//! needs; it does the same wherever it runs. [`local`] runs tasks as processes of this machine, and
//! [`slurm`] hands them to a cluster, [`kubernetes`] writes them down for one, and [`ray`] submits them to one and waits;
//! [`command`] is what a job of theirs runs. [`waits`] knows which steps may begin. [`gather`] joins what the tasks of an
//! array made, and [`shareable`] counts how many of them have work. [`reporter`] reports events, and [`running_step`]
//! measures the progress of a step.

mod command;
mod error;
mod gather;
pub(crate) mod kubernetes;
pub(crate) mod local;
pub(crate) mod ray;
pub(crate) mod reporter;
pub(crate) mod run;
pub(crate) mod running_step;
mod shareable;
pub(crate) mod slurm;
pub(crate) mod task;
mod waits;
mod yaml;

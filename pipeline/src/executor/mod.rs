//! Executors: who carries a plan out, and where.
//!
//! [`run`] is one carrying-out of a plan and its record, [`task`] is one step with everything that
//! its process needs, and does the same wherever it runs; [`local`] runs tasks as processes of this
//! machine, [`slurm`] hands them to a cluster, [`gather`] joins what tasks of an array made,
//! [`things`] says how many of them have work, [`reporter`] tells of it all, and [`watched`] knows how
//! far a step is that runs.

mod gather;
pub(crate) mod local;
pub(crate) mod reporter;
pub(crate) mod run;
pub(crate) mod slurm;
pub(crate) mod task;
mod things;
pub(crate) mod watched;

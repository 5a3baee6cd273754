//! Executors: who carries a plan out, and where.
//!
//! [`task`] is one step with everything that its run needs, and does the same wherever it is run;
//! [`local`] runs tasks as processes of this machine, [`slurm`] hands them to a cluster.

pub(crate) mod local;
pub(crate) mod slurm;
pub(crate) mod task;

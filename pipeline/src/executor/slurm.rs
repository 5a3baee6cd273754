//! Hands tasks to a Slurm cluster: a job a step, an array of jobs where a step can be shared.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `[executor.slurm]`: what `sbatch` is told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlurmSettings {
    pub(crate) partition: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) cpus: Option<usize>,
    pub(crate) mem: Option<String>,
    pub(crate) gres: Option<String>,
    /// Options of `sbatch` as they are, such as `--constraint=ssd`.
    pub(crate) extra: Vec<String>,
    /// Shell lines that come before the step.
    pub(crate) setup: Vec<String>,
    /// How many tasks an array has at most; the cluster's `MaxArraySize` where it is less.
    pub(crate) array: Option<usize>,
    /// Settings of one kind of step, laid on those above.
    pub(crate) kinds: BTreeMap<String, SlurmSettings>,
}

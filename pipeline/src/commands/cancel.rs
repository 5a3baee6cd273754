//! `ratdata cancel`: takes a pipeline's jobs out of a cluster's queue.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::arguments::{PipelineArgs, Program};
use crate::executor::{ray, slurm};
use crate::failure::Failure;
use crate::ui::Ui;

/// Take a pipeline's jobs out of the queue of a Slurm or Ray cluster, and stop those that run
///
/// Finished work is kept. The next `ratdata run --executor slurm` or `ray` continues from there. Jobs of Ray are those on
/// the cluster of the pipeline's last run there.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata cancel\n  ratdata cancel pipeline.toml tokens")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// The jobs that were cancelled.
#[derive(Debug, Serialize)]
struct CancelReport {
    jobs: BTreeSet<u64>,
    /// Those of Ray, by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ray: BTreeSet<String>,
    /// How many there were, with each task of an array counted.
    tasks: usize,
    steps: BTreeSet<String>,
}

/// Runs the command.
pub(crate) fn cancel(ui: &Ui, args: &CancelArgs, program: Program) -> Result<(), Failure> {
    // Cancelling one step is no wish to cancel those that it needs.
    let (pipeline, store, plan) = args.pipeline.plan_in_store(ui, program)?;
    let wanted = &args.pipeline.steps;
    let (mut jobs, mut steps) = (Vec::new(), BTreeSet::new());
    let has_slurm = slurm::is_there();
    let on_ray = match ray::live(&store, &pipeline.identity) {
        // The cluster of an earlier run may be gone, which leaves the jobs of this one's to be cancelled.
        Err(wrong) if has_slurm => {
            ui.warn(wrong.text());
            None
        }
        live => live?,
    };
    // Where there is no cluster at all, the error says what is missing for one.
    let queue = if on_ray.is_some() && !has_slurm { Vec::new() } else { slurm::queue()? };
    let mut ids = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| wanted.is_empty() || wanted.contains(&step.name)) {
        let name = slurm::job_name(&step.object);
        for job in queue.iter().filter(|job| job.name == name) {
            jobs.push(job.clone());
            steps.insert(step.name.clone());
        }
        let live = on_ray.iter().flat_map(|live| &live.jobs);
        for job in live.filter(|job| job.object == step.object) {
            ids.insert(job.id.clone());
            steps.insert(step.name.clone());
        }
    }
    slurm::cancel(&jobs)?;
    on_ray.map_or(Ok(()), |live| live.stop(&ids))?;
    let tasks = jobs.len() + ids.len();
    let jobs = jobs.iter().map(|job| job.id).collect();
    ui.emit(&CancelReport { jobs, ray: ids, tasks, steps })
}

impl fmt::Display for CancelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tasks == 0 {
            return f.write_str("no job of this pipeline is in the queue");
        }
        let steps: Vec<&str> = self.steps.iter().map(String::as_str).collect();
        write!(f, "cancelled {} tasks of {}", self.tasks, steps.join(", "))
    }
}

//! `ratdata cancel`: takes a pipeline's jobs out of a cluster's queue.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::arguments::{PipelineArgs, Program};
use crate::executor::slurm;
use crate::failure::Failure;
use crate::ui::Ui;

/// Take a pipeline's jobs out of a Slurm cluster's queue, and stop those that run
///
/// Finished work is kept. The next `ratdata run --executor slurm` continues from there.
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
    /// How many there were, with each task of an array counted.
    tasks: usize,
    steps: BTreeSet<String>,
}

/// Runs the command.
pub(crate) fn cancel(ui: &Ui, args: &CancelArgs, program: Program) -> Result<(), Failure> {
    // Cancelling one step is no wish to cancel those that it needs.
    let (_, _, plan) = args.pipeline.plan_in_store(ui, program)?;
    let wanted = &args.pipeline.steps;
    let (mut jobs, mut steps) = (Vec::new(), BTreeSet::new());
    let queue = slurm::queue()?;
    for step in plan.steps.iter().filter(|step| wanted.is_empty() || wanted.contains(&step.name)) {
        let name = slurm::job_name(&step.object);
        for job in queue.iter().filter(|job| job.name == name) {
            jobs.push(job.clone());
            steps.insert(step.name.clone());
        }
    }
    slurm::cancel(&jobs)?;
    let tasks = jobs.len();
    ui.emit(&CancelReport { jobs: jobs.iter().map(|job| job.id).collect(), tasks, steps })
}

impl fmt::Display for CancelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.jobs.is_empty() {
            return f.write_str("no job of this pipeline is in the queue");
        }
        let steps: Vec<&str> = self.steps.iter().map(String::as_str).collect();
        write!(f, "cancelled {} tasks of {}", self.tasks, steps.join(", "))
    }
}

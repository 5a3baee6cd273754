//! `ratdata status`: how far a pipeline's steps are, here and on a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use ratdata_schemas::{RunEvent, RunEventKind};
use serde::Serialize;

use crate::arguments::{PipelineArgs, Program};
use crate::dag::file::Pipeline;
use crate::dag::plan::{Planned, State};
use crate::dag::step_kind::StepKind;
use crate::executor::{ray, slurm};
use crate::failure::Failure;
use crate::store::Store;
use crate::store::runs::EVENTS;
use crate::ui::Ui;

/// Show how far the steps of a pipeline are
///
/// Reads finished steps from the store, and waiting or running steps from its locks and from the
/// queue of a Slurm cluster, which needs no accounting database, or the jobs of the Ray cluster of the pipeline's last run
/// there.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata status\n  ratdata status tiny --json")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Done,
    Running,
    Queued,
    Failed,
    Waiting,
}

/// One step and where it is.
#[derive(Debug, Serialize)]
struct StepStatus {
    step: String,
    kind: StepKind,
    standing: Standing,
    /// How many shares of it are done, while it is not.
    shares: usize,
    /// Its jobs in the cluster's queue by state and reason, counted.
    jobs: BTreeMap<String, usize>,
    /// Why it failed when it was last tried, and where to read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// All steps of a pipeline.
#[derive(Debug, Serialize)]
struct StatusReport {
    steps: Vec<StepStatus>,
}

/// Runs the command.
pub(crate) fn status(ui: &Ui, args: &StatusArgs, program: Program) -> Result<(), Failure> {
    let (pipeline, store, plan) = args.pipeline.plan_in_store(ui, program)?;
    let is_done = plan.steps.iter().all(|step| step.state == State::Fresh);
    let mut jobs = Vec::new();
    for queue in [on_slurm(), if is_done { Ok(Vec::new()) } else { on_ray(&store, &pipeline) }] {
        match queue {
            Ok(found) => jobs.extend(found),
            Err(wrong) => {
                ui.warn(&format!("the cluster's queue cannot be read: {}", wrong.text()));
            }
        }
    }
    let mut failures = failures(&store, &pipeline.identity);
    let mut status = |step: &Planned| {
        let failure = failures.remove(&step.name);
        StepStatus::of(step, &store, &jobs, failure)
    };
    ui.emit(&StatusReport { steps: plan.steps.iter().map(&mut status).collect() })
}

/// A job in a cluster's queue.
struct QueuedJob {
    /// The result that it makes, or makes a share of.
    object: String,
    /// Its state, and the reason of it.
    state: String,
}

fn on_slurm() -> Result<Vec<QueuedJob>, Failure> {
    let queue = if slurm::is_there() { slurm::queue()? } else { Vec::new() };
    let job = |job: slurm::Queued| {
        let reason =
            if job.reason == "None" { String::new() } else { format!(" ({})", job.reason) };
        let object = slurm::object_of(&job.name)?.to_owned();
        Some(QueuedJob { object, state: format!("{}{reason}", job.state.to_lowercase()) })
    };
    Ok(queue.into_iter().filter_map(job).collect())
}

fn on_ray(store: &Store, pipeline: &Pipeline) -> Result<Vec<QueuedJob>, Failure> {
    let live = ray::live(store, &pipeline.identity)?;
    let jobs = live.into_iter().flat_map(|live| live.jobs);
    Ok(jobs.map(|job| QueuedJob { object: job.object, state: job.state.to_owned() }).collect())
}

impl StepStatus {
    fn of(step: &Planned, store: &Store, queue: &[QueuedJob], failure: Option<String>) -> Self {
        let mut jobs = BTreeMap::new();
        for job in queue.iter().filter(|job| job.object == step.object) {
            *jobs.entry(job.state.clone()).or_insert(0) += 1;
        }
        let running = || jobs.keys().any(|state: &String| state.starts_with("running"));
        let standing = if step.state == State::Fresh {
            Standing::Done
        } else if running() || store.is_locked(&step.object) {
            Standing::Running
        } else if !jobs.is_empty() {
            Standing::Queued
        } else if failure.is_some() {
            Standing::Failed
        } else {
            Standing::Waiting
        };
        let shares = if standing == Standing::Done { 0 } else { store.shares_done(&step.object) };
        let failure = failure.filter(|_| standing == Standing::Failed);
        Self { step: step.name.clone(), kind: step.kind, standing, shares, jobs, failure }
    }
}

/// What became of a step, and when.
struct Last {
    time: f64,
    failure: Option<String>,
}

/// Returns the steps that failed when they were last tried, and why.
fn failures(store: &Store, pipeline: &Path) -> BTreeMap<String, String> {
    let mut last: BTreeMap<String, Last> = BTreeMap::new();
    for run in store.runs_of(pipeline) {
        let text = fs::read_to_string(run.join(EVENTS)).unwrap_or_default();
        // A line that is being written is not whole yet.
        let events = text.lines().filter_map(|line| serde_json::from_str::<RunEvent>(line).ok());
        for RunEvent { time, what } in events {
            let (step, failure) = match what {
                RunEventKind::StepFailed { step, reason, log, .. } => {
                    (step, Some(format!("{reason}; see {log}")))
                }
                RunEventKind::StepStarted { step, .. }
                | RunEventKind::StepFinished { step, .. } => (step, None),
                _ => continue,
            };
            // A run on a cluster begins before the runs of its jobs, and says after them what became of the step.
            if last.get(&step).is_none_or(|last| last.time <= time) {
                last.insert(step, Last { time, failure });
            }
        }
    }
    last.into_iter().filter_map(|(step, last)| Some((step, last.failure?))).collect()
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        })
    }
}

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.step.len()).max().unwrap_or(0).max(4);
        writeln!(f, "{:<width$}  {:<9} {:<8} details", "step", "kind", "state")?;
        for step in &self.steps {
            let mut details = Vec::new();
            if step.shares > 0 {
                details.push(format!("{} shares done", step.shares));
            }
            details.extend(step.jobs.iter().map(|(state, count)| format!("{count} jobs {state}")));
            details.extend(step.failure.clone());
            let line = format!(
                "{:<width$}  {:<9} {:<8} {}",
                step.step,
                step.kind,
                step.standing,
                details.join(", ")
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        let done = self.steps.iter().filter(|step| step.standing == Standing::Done).count();
        write!(f, "{done} of {} steps are done", self.steps.len())
    }
}

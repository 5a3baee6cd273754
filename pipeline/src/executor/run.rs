//! A run: the plan's stale steps made into tasks, an executor at work, and the record of it all.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ratdata_schemas::{ArtifactError, RunEventKind, RunOutcome, StagedFile};
use ratdata_tokenize::Share;

use super::reporter::Reporter;
use super::task::Task;
use crate::dag::arguments::BadValue;
use crate::dag::error::{PipelineError, pipeline_failure};
use crate::dag::file::Pipeline;
use crate::dag::place::place_of;
use crate::dag::plan::{Plan, PlanIndex, Planned, State};
use crate::dag::step::Step;
use crate::failure::{Failure, Kind};
use crate::library_failures::store_failure;
use crate::store::Store;
use crate::store::runs::RESOLVED;
use crate::ui::Ui;

/// A run that has begun: a folder in the store, and somebody who tells of it.
pub(crate) struct Run<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) plan: &'a Plan,
    pub(crate) store: &'a Store,
    pub(crate) folder: PathBuf,
    pub(crate) reporter: Reporter<'a>,
    /// A task for each step of the plan.
    tasks: Vec<Task>,
    begun: Instant,
}

/// How the steps of a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) made: usize,
    pub(crate) fresh: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) interrupted: bool,
    pub(crate) submitted: bool,
}

impl<'a> Run<'a> {
    /// Begins a run: makes its folder and writes down what is to be done.
    ///
    /// # Errors
    ///
    /// A value cannot be passed on, or the store cannot be written.
    pub(crate) fn begin(
        ui: &'a Ui,
        pipeline: &'a Pipeline,
        plan: &'a Plan,
        store: &'a Store,
    ) -> Result<Self, Failure> {
        let task = |planned: &Planned| {
            Task::of(pipeline, store, plan, planned).map_err(|BadValue { key, wrong }| {
                pipeline_failure(&PipelineError::Value {
                    place: place_of(&pipeline.path, &["steps", &planned.name, &key]),
                    table: format!("step `{}`", planned.name),
                    key,
                    wrong,
                })
            })
        };
        let tasks = plan.steps.iter().map(task).collect::<Result<Vec<_>, _>>()?;
        let refused =
            |source| store_failure(ArtifactError::Io { path: store.root().to_owned(), source });
        for path in tasks.iter().filter_map(|task| task.publish.as_deref()) {
            store.check_link(path).map_err(store_failure)?;
        }
        let folder = store.new_run().map_err(refused)?;
        let resolved = toml::to_string(&pipeline.resolved).unwrap_or_default();
        let mut file = StagedFile::create(&folder.join(RESOLVED)).map_err(store_failure)?;
        file.write(resolved.as_bytes()).map_err(store_failure)?;
        file.commit().map_err(store_failure)?;
        let whole = plan.steps.len() == pipeline.steps.len();
        store.refer(&pipeline.identity, plan.objects(), whole).map_err(store_failure)?;
        let reporter = Reporter::new(ui, &folder).map_err(refused)?;
        reporter.tell(RunEventKind::RunStarted {
            run: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            pipeline: pipeline.identity.display().to_string(),
            store: store.root().display().to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            steps: plan.steps.len(),
            stale: plan.stale,
        })?;
        Ok(Self { pipeline, plan, store, folder, reporter, tasks, begun: Instant::now() })
    }

    /// Returns the task of a step.
    pub(crate) fn task(&self, PlanIndex(number): PlanIndex) -> &Task {
        &self.tasks[number]
    }

    /// Returns a step as its pipeline describes it.
    pub(crate) fn step(&self, step: PlanIndex) -> &Step {
        &self.pipeline[self.plan[step].step]
    }

    /// Returns the log of a step, or of a share of it.
    pub(crate) fn log_of(&self, step: PlanIndex, share: Option<Share>) -> PathBuf {
        let name = &self.task(step).name;
        self.folder.join(match share {
            Some(share) => format!("{name}.{}.log", share.number),
            None => format!("{name}.log"),
        })
    }

    /// Names a result that was there, and tells of it.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub(crate) fn fresh(&self, step: PlanIndex) -> Result<(), Failure> {
        let task = self.task(step);
        task.remember(self.store).map_err(store_failure)?;
        let result = self.store.object(&task.object).display().to_string();
        self.reporter.tell(RunEventKind::StepFresh { step: task.name.clone(), result })
    }

    /// Returns whether a step of the plan has its result.
    pub(crate) fn is_fresh(&self, step: PlanIndex) -> bool {
        self.plan[step].state == State::Fresh
    }

    /// Ends the run.
    ///
    /// # Errors
    ///
    /// A step failed or the user interrupted the run.
    pub(crate) fn end(self, totals: Totals) -> Result<(), Failure> {
        let outcome = match totals {
            Totals { failed: 1.., .. } => RunOutcome::Failed,
            Totals { interrupted: true, .. } => RunOutcome::Interrupted,
            Totals { submitted: true, .. } => RunOutcome::Submitted,
            Totals { .. } => RunOutcome::Done,
        };
        self.reporter.tell(RunEventKind::RunFinished {
            outcome,
            made: totals.made,
            fresh: totals.fresh,
            failed: totals.failed,
            skipped: totals.skipped,
            seconds: self.begun.elapsed().as_secs_f64(),
        })?;
        match outcome {
            RunOutcome::Failed => {
                let what = if totals.failed == 1 { "a step" } else { "steps" };
                let message = format!("{}: {what} failed", self.pipeline.path.display());
                Err(Failure::message(Kind::Failed, message).hinted(Some(format!(
                    "read the logs in {}, mend the cause, and run the same again: what was done is kept",
                    self.folder.display()
                ))))
            }
            RunOutcome::Interrupted => Err(Failure::message(Kind::Interrupted, "interrupted")
                .hinted(Some("run the same again: what was done is kept"))),
            RunOutcome::Done | RunOutcome::Submitted => {
                remove_empty_logs(&self.folder);
                Ok(())
            }
        }
    }
}

/// A run in which everything was fresh leaves no empty folder of tasks behind.
fn remove_empty_logs(folder: &std::path::Path) {
    // It is not empty where tasks were written down, and then it stays.
    drop(fs::remove_dir(folder.join("steps")));
}

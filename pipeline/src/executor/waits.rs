//! Which steps of a run may begin: those whose inputs are there.

use std::collections::BTreeSet;

use ratdata_schemas::RunEventKind;

use super::run::Run;
use crate::dag::plan::PlanIndex;
use crate::failure::Failure;

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Done,
    Failed,
}

/// The steps of a run by what they wait for.
pub(super) struct Waits<'r, 'a> {
    run: &'r Run<'a>,
    stages: Vec<Stage>,
    /// How many inputs of each step are not there yet.
    missing: Vec<usize>,
    users: Vec<Vec<PlanIndex>>,
    /// Steps whose inputs are there, in the order of the plan.
    ready: BTreeSet<PlanIndex>,
    /// How many results were there before the run.
    pub(super) fresh: usize,
}

impl<'r, 'a> Waits<'r, 'a> {
    /// The steps as they are when a run begins; what is fresh is reported.
    pub(super) fn new(run: &'r Run<'a>) -> Result<Self, Failure> {
        let steps = &run.plan.steps;
        let mut waits = Self {
            run,
            stages: vec![Stage::Waiting; steps.len()],
            missing: steps.iter().map(|step| step.takes.len()).collect(),
            users: vec![Vec::new(); steps.len()],
            ready: BTreeSet::new(),
            fresh: 0,
        };
        for (number, step) in run.plan.indexes().zip(steps) {
            for take in &step.takes {
                waits.users[take.0].push(number);
            }
        }
        for number in run.plan.indexes() {
            if run.is_fresh(number) {
                run.fresh(number)?;
                waits.fresh += 1;
                waits.is_there(number);
            } else if waits.missing[number.0] == 0 {
                waits.ready.insert(number);
            }
        }
        Ok(waits)
    }

    /// Returns the steps that may begin, in the order of the plan.
    pub(super) fn ready(&self) -> &BTreeSet<PlanIndex> {
        &self.ready
    }

    /// Marks a step as running.
    pub(super) fn begin(&mut self, step: PlanIndex) {
        self.ready.remove(&step);
        self.stages[step.0] = Stage::Running;
    }

    /// Marks a result as there, so that steps that take it may begin.
    pub(super) fn is_there(&mut self, step: PlanIndex) {
        self.stages[step.0] = Stage::Done;
        for user in self.users[step.0].clone() {
            self.missing[user.0] -= 1;
            if self.missing[user.0] == 0
                && self.stages[user.0] == Stage::Waiting
                && !self.run.is_fresh(user)
            {
                self.ready.insert(user);
            }
        }
    }

    /// Marks what the run was to do of a step as done, which is not its result.
    pub(super) fn is_over(&mut self, step: PlanIndex) {
        self.stages[step.0] = Stage::Done;
    }

    /// Marks a step as stopped: it waits for another run.
    pub(super) fn stopped(&mut self, step: PlanIndex) {
        self.stages[step.0] = Stage::Waiting;
    }

    /// Marks a step as failed and reports the steps that cannot be run for that; returns how many they are.
    pub(super) fn failed(&mut self, step: PlanIndex) -> Result<usize, Failure> {
        self.stages[step.0] = Stage::Failed;
        let because = self.run.task(step).name.clone();
        let mut todo = self.users[step.0].clone();
        let mut skipped = 0;
        while let Some(user) = todo.pop() {
            if self.stages[user.0] != Stage::Waiting || self.run.is_fresh(user) {
                continue;
            }
            self.stages[user.0] = Stage::Failed;
            skipped += 1;
            let step = self.run.task(user).name.clone();
            self.run.reporter.tell(RunEventKind::StepSkipped { step, because: because.clone() })?;
            todo.extend(&self.users[user.0]);
        }
        Ok(skipped)
    }

    /// Returns how many steps were not begun, or were stopped.
    pub(super) fn waiting(&self) -> usize {
        self.stages.iter().filter(|stage| **stage == Stage::Waiting).count()
    }
}

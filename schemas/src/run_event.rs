//! What happens in a run of a pipeline, one event a line of JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that happened in a run, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEvent {
    /// When it happened, in seconds since 1970.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: RunEventKind,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEventKind {
    /// The run begins.
    RunStarted {
        /// The run's name, a folder of the store's `runs`.
        run: String,
        /// The pipeline's file or name.
        pipeline: String,
        /// The store's folder.
        store: String,
        /// The version of the program.
        version: String,
        /// How many steps are wanted.
        steps: usize,
        /// How many of them are stale.
        stale: usize,
    },
    /// A step's result is there already.
    StepFresh {
        /// The step.
        step: String,
        /// Where its result is.
        result: String,
    },
    /// A step waits while another run makes the same result.
    StepWaiting {
        /// The step.
        step: String,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: String,
        /// Its kind.
        kind: String,
        /// What decides its bytes.
        fingerprint: String,
        /// How many threads it may use.
        threads: usize,
        /// Where it writes what it says.
        log: String,
    },
    /// A step makes progress: reported every ten seconds while it runs on this machine.
    StepProgress {
        /// The step.
        step: String,
        /// How many units are done.
        done: u64,
        /// How many there are, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        /// What is counted: `bytes` of input, `rows`, `iterations`; `bytes written` of a step that
        /// does not report its progress.
        unit: String,
        /// Units a second, over the last seconds.
        rate: f64,
        /// For how long the step has run.
        seconds: f64,
    },
    /// A step was handed to a cluster.
    StepSubmitted {
        /// The step.
        step: String,
        /// The cluster's number of the job that makes the result.
        job: u64,
        /// The cluster's number of the array that makes its shares, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        array: Option<u64>,
        /// How many tasks the array has.
        tasks: usize,
    },
    /// A job of a step was submitted to a cluster that this run waits for.
    JobSubmitted {
        /// The step.
        step: String,
        /// The cluster's name of the job.
        job: String,
        /// The share that it makes; without one, the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<String>,
    },
    /// A step's result is there.
    StepFinished {
        /// The step.
        step: String,
        /// Where its result is.
        result: String,
        /// How long it took.
        seconds: f64,
        /// How many bytes the result has.
        bytes: u64,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: String,
        /// How long it took.
        seconds: f64,
        /// What went wrong.
        reason: String,
        /// Where it wrote what it said.
        log: String,
    },
    /// A step was not run, since one that it needs failed.
    StepSkipped {
        /// The step.
        step: String,
        /// The step that failed.
        because: String,
    },
    /// A step was stopped by the user.
    StepInterrupted {
        /// The step.
        step: String,
    },
    /// The run ends.
    RunFinished {
        /// How it ended.
        outcome: RunOutcome,
        /// How many results it made.
        made: usize,
        /// How many were there.
        fresh: usize,
        /// How many steps failed.
        failed: usize,
        /// How many steps were not run.
        skipped: usize,
        /// How long it took.
        seconds: f64,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// All results are there.
    Done,
    /// A step failed.
    Failed,
    /// The user interrupted it.
    Interrupted,
    /// A cluster has the steps.
    Submitted,
}

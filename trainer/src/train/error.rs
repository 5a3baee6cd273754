//! Why a run ended early.

use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::{ArtifactError, refusal_hint, refusal_hint_in};
use thiserror::Error;

use crate::data::DataError;
use crate::device::DeviceError;
use crate::model::WeightsError;
use crate::optim::OptimError;

/// An error of preparing or running a training run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data is missing or does not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device is missing.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The run has no such iteration.
    #[error("iteration {found}: the run has iterations 1 to {iterations}")]
    Iteration {
        /// The iteration that was asked for.
        found: u64,
        /// How many there are.
        iterations: u64,
    },
    /// No device was given.
    #[error("no device was given to train on")]
    NoDevice,
    /// Weights could not be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The optimizer's state could not be read or written.
    #[error(transparent)]
    Optimizer(#[from] OptimError),
    /// A file could not be written, or another run holds the folder.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The operating system refused a file.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason that the system gives.
        source: io::Error,
    },
    /// The folder already holds a run.
    #[error("{}: holds a run of {iterations} iterations already", .out.display())]
    Exists {
        /// The run's folder.
        out: PathBuf,
        /// The iterations of its newest checkpoint.
        iterations: u64,
    },
    /// The record of a checkpoint is not valid.
    #[error("{}: not the record of a checkpoint: {reason}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint is of another model.
    #[error(
        "{}: checkpoint of another model: its `model.{key}` is {found}, the experiment's is {expected}",
        .path.display()
    )]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// The first key that differs.
        key: String,
        /// The checkpoint's value.
        found: String,
        /// The experiment's value.
        expected: String,
    },
    /// The checkpoint read other data.
    #[error("{}: the run read other data under the name `{name}`", .path.display())]
    OtherData {
        /// The checkpoint.
        path: PathBuf,
        /// The source.
        name: String,
    },
    /// The experiment draws its data in another order than the checkpoint.
    #[error(
        "{}: the run drew its data with `data.{key}` {found}, the experiment's is {expected}",
        .path.display()
    )]
    OtherOrder {
        /// The checkpoint.
        path: PathBuf,
        /// The first key that differs.
        key: String,
        /// The checkpoint's value.
        found: String,
        /// The experiment's value.
        expected: String,
    },
    /// There are no weights at the path that the run begins with.
    #[error("{}: no run, checkpoint or weights to begin with", .path.display())]
    NoWeights {
        /// The path of `training.init_from`.
        path: PathBuf,
    },
    /// A loss or a gradient is not finite.
    #[error(
        "iteration {iteration}: the {what} is {found}; the sequences of the batch are listed in {}",
        .location.display()
    )]
    NotFinite {
        /// The iteration, counted from 1.
        iteration: u64,
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// Its value.
        found: f64,
        /// The file that names the batch's sequences.
        location: PathBuf,
    },
    /// Weights & Biases cannot be fed.
    #[error("{}: cannot feed Weights & Biases: {reason}", .python.display())]
    Wandb {
        /// The Python that was asked.
        python: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The run is too short for the data: not one iteration.
    #[error("the run has no iteration: {reason}")]
    NoIteration {
        /// Which limits leave no iteration.
        reason: String,
    },
    /// The user stopped the run before it had begun.
    #[error("stopped before the first iteration; nothing of the run was kept")]
    NotBegun,
    /// The user stopped the run.
    #[error("stopped at iteration {iteration}; the checkpoint is {}", .checkpoint.display())]
    Interrupted {
        /// Iterations done.
        iteration: u64,
        /// The checkpoint that a run resumes from.
        checkpoint: PathBuf,
    },
}

impl TrainError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        // A run that has kept a checkpoint does not begin again by the same words.
        let resumed = "give the same command with `--resume`";
        self.usual_hint().map(|hint| hint.replace("run the same command again", resumed))
    }

    fn usual_hint(&self) -> Option<&'static str> {
        match self {
            Self::Data(wrong) => wrong.hint(),
            Self::Device(wrong) => wrong.hint(),
            Self::Weights(WeightsError::Write { reason, .. })
            | Self::Optimizer(OptimError::Write { reason, .. }) => refusal_hint_in(reason),
            Self::Weights(wrong) => wrong.hint(),
            Self::Io { source, .. } => refusal_hint(source),
            Self::Artifact(wrong) => wrong.hint(),
            Self::Exists { .. } => Some("resume it with `--resume`, or choose another `--out`"),
            Self::OtherModel { .. } => {
                Some("train the experiment of that checkpoint, or choose another `--out`")
            }
            Self::OtherData { .. } => {
                Some("a new run over other data begins with `--set training.init_from=CHECKPOINT`")
            }
            Self::OtherOrder { .. } => Some(
                "resuming would read some sequences twice and some never: keep the value, or start a new run with `--set training.init_from=CHECKPOINT`",
            ),
            Self::NoWeights { .. } => Some(
                "train the model that this one begins with, or `--set training.init_from=PATH`",
            ),
            Self::NotFinite { .. } => Some(
                "a lower `--set schedule.peak=LR` or a longer warm-up often helps; the last checkpoint is whole",
            ),
            Self::NoIteration { .. } => {
                Some("take a smaller `--set training.global_batch=N`, or more data")
            }
            Self::Wandb { .. } => Some(
                "`pip install wandb` in a virtual environment, and `--set training.wandb_python=VENV/bin/python`",
            ),
            Self::Interrupted { .. } => Some("resume it with `--resume`"),
            Self::NoDevice
            | Self::Iteration { .. }
            | Self::Optimizer(_)
            | Self::NotBegun
            | Self::Record { .. } => None,
        }
    }

    /// Makes an error of a file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

//! Why a run cannot generate.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::device::DeviceError;
use crate::experiment::ExperimentError;
use crate::train::TrainError;

/// An error of generating.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The folder is no run and no checkpoint.
    #[error("{}: no run and no checkpoint: it has no {resolved}", .path.display())]
    NoRun {
        /// The path that was given.
        path: PathBuf,
        /// The file that a run has.
        resolved: &'static str,
    },
    /// The experiment of the run cannot be read.
    #[error("{}: cannot read the experiment: {reason}", .path.display())]
    Resolved {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights or the record of a checkpoint cannot be read.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The experiment is not valid.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The device is missing.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A line of the input is no request.
    #[error("stdin:{line}: {reason}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The requests cannot be read.
    #[error("stdin: cannot read: {0}")]
    Stdin(io::Error),
    /// The events cannot be written.
    #[error("stdout: cannot write: {0}")]
    Stdout(io::Error),
    /// The user stopped the program.
    #[error("interrupted")]
    Interrupted,
}

impl GenerateError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRun { .. } => {
                Some("name the folder of `ratdata train`, such as runs/tiny-rat".to_owned())
            }
            Self::Train(wrong) => wrong.hint(),
            Self::Experiment(wrong) => wrong.hint(),
            Self::Device(wrong) => wrong.hint().map(str::to_owned),
            Self::Resolved { .. }
            | Self::Line { .. }
            | Self::Stdin(_)
            | Self::Stdout(_)
            | Self::Interrupted => None,
        }
    }
}

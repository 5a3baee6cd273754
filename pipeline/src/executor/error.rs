//! Why a task was not done.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use ratdata_schemas::ArtifactError;
use thiserror::Error;

/// Why a task was not done.
#[derive(Debug, Error)]
pub(crate) enum TaskError {
    /// The step's program failed.
    #[error("{program} ended with {status}")]
    Failed { program: String, status: ExitStatus },
    /// The step's program cannot be started.
    #[error("`{program}`: cannot start: {source}")]
    Start { program: String, source: io::Error },
    /// A file that was promised is not there.
    #[error("{} was promised and not written", .path.display())]
    NoOutput { path: PathBuf },
    /// An input is another one than the result is named by.
    #[error("{}: this input was changed while the step was made; run the same again", .path.display())]
    Changed { path: PathBuf },
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// The system refused something.
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The system has no room for the thread that looks after the step.
    #[error("no thread can be started: {source}")]
    Thread { source: io::Error },
    /// The user interrupted it.
    #[error("interrupted")]
    Interrupted,
}

impl TaskError {
    /// Returns what makes an error of the system one of this file or folder, for `map_err`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

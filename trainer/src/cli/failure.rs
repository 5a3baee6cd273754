//! How a run fails: an exit status, a message, and hints.

use std::io;
use std::process::ExitCode;

use ratdata_console::FailureKind;
use ratdata_train::bench::BenchError;
use ratdata_train::device::DeviceError;
use ratdata_train::experiment::ExperimentError;
use ratdata_train::generate::GenerateError;
use ratdata_train::train::TrainError;

/// Why the program ends early.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure of the command line or of a configuration.
    pub(crate) fn usage(message: String) -> Self {
        Self { kind: FailureKind::Usage, message, hint: None }
    }

    /// A failure of the work.
    pub(crate) fn failed(message: String) -> Self {
        Self { kind: FailureKind::Failed, message, hint: None }
    }

    /// The failure of a GPU while it computed.
    pub(crate) fn device(said: &str) -> Self {
        let lower = said.to_lowercase();
        let full = ["memory", "alloc"].iter().any(|word| lower.contains(word));
        let hint = if full {
            "where the GPU's memory is full, a smaller `--set training.micro_batch=N` needs less"
        } else {
            "the last checkpoint is whole: resume it with `--resume`, or compute with `--device cpu`"
        };
        let message = format!("the device failed: {said}");
        Self { kind: FailureKind::Failed, message, hint: Some(hint.to_owned()) }
    }

    /// The failure of writing to stdout. A closed pipe is no failure.
    pub(crate) fn stdout(wrong: &io::Error) -> Self {
        let kind = FailureKind::of_stdout(wrong);
        Self { kind, message: format!("stdout: cannot write: {wrong}"), hint: None }
    }

    /// Returns whether nothing is printed.
    pub(crate) fn is_silent(&self) -> bool {
        self.kind == FailureKind::ClosedPipe
    }

    /// Returns the exit status.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(self.kind.status())
    }
}

impl From<TrainError> for Failure {
    fn from(wrong: TrainError) -> Self {
        let kind = match &wrong {
            TrainError::Interrupted { .. } | TrainError::NotBegun => FailureKind::Interrupted,
            TrainError::Data(data) if data.is_usage() => FailureKind::Usage,
            TrainError::Device(_) | TrainError::Exists { .. } | TrainError::Iteration { .. } => {
                FailureKind::Usage
            }
            _ => FailureKind::Failed,
        };
        Self { kind, message: wrong.to_string(), hint: wrong.hint() }
    }
}

impl From<GenerateError> for Failure {
    fn from(wrong: GenerateError) -> Self {
        let kind = match &wrong {
            GenerateError::Stdout(wrong) => FailureKind::of_stdout(wrong),
            GenerateError::Interrupted => FailureKind::Interrupted,
            GenerateError::NoRun { .. }
            | GenerateError::Experiment(_)
            | GenerateError::Device(_)
            | GenerateError::Line { .. } => FailureKind::Usage,
            _ => FailureKind::Failed,
        };
        Self { kind, message: wrong.to_string(), hint: wrong.hint() }
    }
}

impl From<BenchError> for Failure {
    fn from(wrong: BenchError) -> Self {
        let kind = match &wrong {
            BenchError::Interrupted => FailureKind::Interrupted,
            _ => FailureKind::Usage,
        };
        Self { kind, message: wrong.to_string(), hint: wrong.hint() }
    }
}

impl From<DeviceError> for Failure {
    fn from(wrong: DeviceError) -> Self {
        TrainError::Device(wrong).into()
    }
}

impl From<ExperimentError> for Failure {
    fn from(wrong: ExperimentError) -> Self {
        Self { kind: FailureKind::Usage, message: wrong.to_string(), hint: wrong.hint() }
    }
}

/// Prints what is wrong with the command line. Help and version are no failure.
pub(crate) fn report_usage(usage: &clap::Error) -> ExitCode {
    match usage.print() {
        Err(wrong) if wrong.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(1),
        _ if usage.use_stderr() => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    }
}

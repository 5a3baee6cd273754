//! How a command fails: a kind, which is the exit status, a message, and hints.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use crate::ui::Ui;

/// The kinds of failure, each an exit status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something went wrong while working: status 1.
    Failed,
    /// The command line or a configuration is wrong: status 2.
    Usage,
    /// An artifact is not what its manifest says: status 3.
    Mismatch,
    /// Steps of a plan are stale, and the user asked: status 4.
    Stale,
    /// The user interrupted the run: status 130.
    Interrupted,
    /// The reader of our output closed the pipe: status 0.
    ClosedPipe,
}

impl Kind {
    fn status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Mismatch => 3,
            Self::Stale => 4,
            Self::Interrupted => 130,
            Self::ClosedPipe => 0,
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// A failure whose message is the error's and, where they add something, its causes'.
    pub(crate) fn new(kind: Kind, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        Self { kind, message, hints: Vec::new() }
    }

    /// A failure in plain words.
    pub(crate) fn message(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// Returns the message alone.
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    /// Adds what the user can do about it, where there is something to do.
    pub(crate) fn hinted(mut self, hint: Option<impl Display>) -> Self {
        self.hints.extend(hint.map(|hint| hint.to_string()));
        self
    }

    /// The failure of writing to stdout: a closed pipe is none.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        let kind =
            if error.kind() == io::ErrorKind::BrokenPipe { Kind::ClosedPipe } else { Kind::Failed };
        Self::message(kind, format!("stdout: cannot write: {error}"))
    }

    /// Returns what the user can do about it.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Returns whether there is nobody left to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.kind == Kind::ClosedPipe
    }

    /// Returns the exit status.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    /// Returns the exit status as a number.
    pub(crate) fn status(&self) -> u8 {
        self.kind.status()
    }
}

/// Tells what is wrong with the command line; help and version that were asked for are no failure,
/// unless nobody takes them.
pub(crate) fn report_usage(ui: &Ui, usage: &clap::Error) -> ExitCode {
    match usage.print() {
        _ if usage.use_stderr() => ExitCode::from(Kind::Usage.status()),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = Failure::stdout(&error);
            ui.failure(&failure);
            failure.exit_code()
        }
    }
}

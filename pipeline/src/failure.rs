//! How a command fails: a kind, which is the exit status, a message, and hints.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

pub(crate) use ratdata_console::FailureKind as Kind;

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
        Self::message(Kind::of_stdout(error), format!("stdout: cannot write: {error}"))
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

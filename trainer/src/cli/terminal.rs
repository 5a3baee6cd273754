//! The output of the program: results on stdout, everything else on stderr.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratdata_console::grouped;
use ratdata_schemas::ProgressFile;
use ratdata_train::train::{Progress, Report, Validated};
use serde::Serialize;

use super::failure::Failure;

/// The terminal, the pipe or the log file that the program writes to.
#[derive(Debug)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    color: bool,
    /// The progress line, on a terminal.
    line: Option<ProgressBar>,
    /// The file that reports the progress to a pipeline, if this run is a step of one.
    progress_file: Option<ProgressFile>,
}

impl Terminal {
    /// Finds out where the output goes.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let live = io::stderr().is_terminal();
        let line = (live && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:12.cyan/dim} {wide_msg}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        let progress_file = ProgressFile::of_environment();
        Self { json, quiet, color: live && !no_color, line, progress_file }
    }

    /// Prints the result: its JSON on one line, or its words.
    pub(crate) fn emit<T: Serialize + Display>(&self, result: &T) -> Result<(), Failure> {
        let text = if self.json {
            serde_json::to_string(result).map_err(|wrong| Failure::stdout(&wrong.into()))?
        } else {
            result.to_string()
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|wrong| Failure::stdout(&wrong))
    }

    /// Removes the progress line.
    pub(crate) fn end_line(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    /// Prints why the program ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.end_line();
        if failure.is_silent() {
            return;
        }
        self.say(&format!("{}: {}", self.painted("error", "31"), failure.message));
        if let Some(hint) = &failure.hint {
            self.say(&format!("{}: {hint}", self.painted("hint", "36")));
        }
    }

    /// Warns of something that the user should look at.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("{}: {text}", self.painted("warning", "33")));
    }

    fn painted(&self, word: &str, code: &str) -> String {
        if self.color { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    }

    /// The one place that writes to stderr.
    fn say(&self, text: &str) {
        let write = || {
            // Ignored: if stderr is closed, there is nowhere to report it.
            drop(writeln!(io::stderr().lock(), "{text}"));
        };
        match &self.line {
            Some(line) => line.suspend(write),
            None => write(),
        }
    }
}

impl Report for Terminal {
    fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some(file) = &self.progress_file {
            file.tell(progress.line.iteration, Some(progress.iterations), "iterations");
        }
        if self.quiet {
            return;
        }
        let text = words(progress);
        if progress.logged {
            self.say(&text);
        }
        if let Some(line) = &self.line {
            line.set_length(progress.iterations);
            line.set_position(progress.line.iteration);
            line.set_message(text);
        }
    }

    fn validated(&mut self, iteration: u64, found: &Validated) {
        if !self.quiet {
            let Validated { loss, perplexity, .. } = found;
            self.say(&format!(
                "iteration {iteration}: validation loss {loss:.4}, perplexity {perplexity:.2}"
            ));
        }
    }
}

/// Iteration, loss, learning rate, gradient norm, speed, MFU on a GPU, and the time left.
fn words(progress: &Progress) -> String {
    let line = &progress.line;
    let mut text = format!("{}/{}", line.iteration, progress.iterations);
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let written = write!(text, "  {name} {value}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
    };
    field("loss", line.loss.map(|loss| format!("{loss:.4}")));
    field("lr", line.lr.map(|lr| format!("{lr:.2e}")));
    field("norm", line.grad_norm.map(|norm| format!("{norm:.3}")));
    field("tokens/s", line.tokens_per_second.map(grouped_f));
    field("MFU", progress.mfu.map(|mfu| format!("{:.1}%", mfu * 100.0)));
    field("left", Some(clock(progress.seconds_left)));
    text
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "speeds and times are positive, and shown rounded"
)]
fn grouped_f(number: f64) -> String {
    grouped(number.max(0.0).round() as u64)
}

/// Writes seconds as hours, minutes and seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "speeds and times are positive, and shown rounded"
)]
fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

//! Where text reaches the terminal: results on stdout, everything else on stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::plain::{plain, plain_json};

/// The terminal, the pipe or the log file that the program speaks to.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "two wishes of the user, three facts of the terminal"
)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    live: bool,
    color: bool,
    paint: bool,
}

/// Text that can be shown in colour.
pub(crate) trait Painted {
    /// Returns the text, with colours where `color` is set; text of files within it is made
    /// [`plain`] here, since colours are let through.
    fn painted(&self, color: bool) -> String;
}

impl Ui {
    /// Looks at where the program's output goes.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let live = io::stderr().is_terminal();
        let paint = io::stdout().is_terminal() && !no_color;
        Self { json, quiet, live: live && !quiet, color: live && !no_color, paint }
    }

    /// Returns whether progress may be drawn and redrawn.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Returns whether what is drawn may have colours.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// Returns whether results are wanted as JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Returns whether progress is wanted at all.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Prints the result: its JSON on one line, or its words.
    pub(crate) fn emit<T: Serialize + Display>(&self, result: &T) -> Result<(), Failure> {
        if self.json {
            return Self::print_json(result);
        }
        Self::print(&result.to_string())
    }

    /// Prints a piece of text that was asked for: its JSON on one line, or painted.
    pub(crate) fn emit_text<T: Serialize + Painted>(&self, shown: &T) -> Result<(), Failure> {
        if self.json {
            return Self::print_json(shown);
        }
        Self::write(&shown.painted(self.paint))
    }

    fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|wrong| Failure::stdout(&wrong.into()))?;
        Self::write(&plain_json(&text))
    }

    /// Prints an untrusted text that is the result: it cannot steer the terminal.
    pub(crate) fn print(text: &str) -> Result<(), Failure> {
        Self::write(&plain(text))
    }

    /// Prints a part of an untrusted text as it comes, without a line end.
    pub(crate) fn stream(text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(plain(text).as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::stdout(&error))
    }

    fn write(text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
            .and_then(|()| out.flush())
            .map_err(|error| Failure::stdout(&error))
    }

    /// Says something on the way, unless the user wants quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            say(&plain(text));
        }
    }

    /// Warns of something that the user should look at.
    pub(crate) fn warn(&self, text: &str) {
        say(&format!("{}: {}", self.painted("warning", "33"), plain(text)));
    }

    /// Tells why the program ends: the one place where a failure becomes text.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        say(&format!("{}: {}", self.painted("error", "31"), plain(failure.text())));
        for hint in failure.hints() {
            say(&format!("{}: {}", self.painted("hint", "36"), plain(hint)));
        }
    }

    fn painted(&self, word: &str, code: &str) -> String {
        if self.color { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}

fn say(text: &str) {
    // A closed stderr leaves nobody to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

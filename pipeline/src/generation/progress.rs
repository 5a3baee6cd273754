//! How far the rows of an input are: a live line on a terminal, plain lines at intervals elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratdata_console::grouped;
use ratdata_schemas::ProgressFile;

use crate::ui::Ui;

/// How often a plain line is printed where the line cannot be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// How many rows and tokens there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) all: usize,
    /// Rows that an earlier attempt has done.
    pub(super) before: usize,
    /// Rows that this attempt has done.
    pub(super) done: usize,
    pub(super) tokens: u64,
    /// When the model was ready.
    pub(super) begun: Instant,
}

impl Counts {
    /// Returns how fast this attempt is.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    fn words(&self) -> String {
        let done = self.before + self.done;
        let (tokens, rate) = (grouped(self.tokens), self.tokens_per_second());
        let mut line = format!("{done}/{} rows, {tokens} tokens, {rate:.0} tokens/s", self.all);
        if self.done > 0 {
            let seconds = self.begun.elapsed().as_secs_f64();
            let left = seconds * (self.all - done) as f64 / self.done as f64;
            line.push_str(&format!(", {left:.0} s left"));
        }
        line
    }
}

/// The line that shows the counts.
pub(super) struct RowsLine<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
    file: Option<ProgressFile>,
    last_line: Instant,
}

impl<'a> RowsLine<'a> {
    pub(super) fn new(ui: &'a Ui) -> Self {
        let bar = ProgressBar::new(0);
        if !ui.live() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:16.cyan/dim} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { ui, bar, file: ProgressFile::of_environment(), last_line: Instant::now() }
    }

    /// Shows the counts.
    pub(super) fn show(&mut self, counts: &Counts) {
        let done = (counts.before + counts.done) as u64;
        if let Some(file) = &self.file {
            file.tell(done, Some(counts.all as u64), "rows");
        }
        if self.ui.live() {
            self.bar.set_length(counts.all as u64);
            self.bar.set_position(done);
            self.bar.set_message(counts.words());
        } else if self.last_line.elapsed() >= PLAIN_EVERY {
            self.ui.note(&counts.words());
            self.last_line = Instant::now();
        }
    }

    /// Removes the line.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

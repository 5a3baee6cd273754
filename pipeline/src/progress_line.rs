//! One line that says how far some work is: drawn again on a terminal, printed at intervals elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratdata_console::lasting;
use ratdata_schemas::ProgressFile;

use crate::ui::Ui;
use crate::watcher::work_and_show;

/// How often a plain line is printed where the line cannot be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// How long the line of watched work stays as it is.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// The line, and the file that tells a run of steps the same.
pub(crate) struct ProgressLine<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
    file: Option<ProgressFile>,
    /// What is counted.
    unit: &'static str,
    last_line: Instant,
}

/// How much of the work is done.
pub(crate) struct Reached {
    pub(crate) done: u64,
    pub(crate) all: u64,
}

impl Reached {
    /// Returns the time that is left, with a comma: as this run, which began at `before`, did its part in so many
    /// seconds. Nothing where it has done nothing yet.
    pub(crate) fn time_left(&self, before: u64, seconds: f64) -> String {
        match self.done.saturating_sub(before) {
            0 => String::new(),
            own => {
                let left = seconds * self.all.saturating_sub(self.done) as f64 / own as f64;
                format!("{} left, ", lasting(left))
            }
        }
    }
}

impl<'a> ProgressLine<'a> {
    /// Makes a line that counts in a unit.
    pub(crate) fn new(ui: &'a Ui, unit: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        if !ui.live() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        // What a narrow terminal has no room for is cut off, so that the line stays one.
        if let Ok(style) = ProgressStyle::with_template("{bar:16.cyan/dim} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { ui, bar, file: ProgressFile::of_environment(), unit, last_line: Instant::now() }
    }

    /// Runs `work`, and shows until it returns what `look` finds after so many seconds.
    pub(crate) fn watch<T>(
        mut self,
        work: impl FnOnce() -> T,
        look: impl Fn(f64) -> (Reached, String) + Sync,
    ) -> T {
        if self.ui.quiet() && self.file.is_none() {
            return work();
        }
        work_and_show(work, |done| {
            let begun = Instant::now();
            while !done.is_set() {
                done.wait(DRAWN_EVERY);
                let (reached, words) = look(begun.elapsed().as_secs_f64());
                self.show(&reached, || words);
            }
            self.end();
        })
    }

    /// Shows how far the work is; `words` are said behind the bar.
    pub(crate) fn show(&mut self, reached: &Reached, words: impl FnOnce() -> String) {
        if let Some(file) = &self.file {
            file.tell(reached.done, Some(reached.all), self.unit);
        }
        if self.ui.live() {
            self.bar.set_length(reached.all);
            self.bar.set_position(reached.done);
            self.bar.set_message(words());
        } else if self.last_line.elapsed() >= PLAIN_EVERY {
            self.ui.note(&words());
            self.last_line = Instant::now();
        }
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_by_what_this_run_has_done() {
        let left = |done, before| Reached { done, all: 1000 }.time_left(before, 10.0);

        assert_eq!(left(500, 500), "", "nothing of it was done by this run");
        assert_eq!(left(500, 400), "50 s left, ");
        assert_eq!(left(1000, 0), "less than a second left, ");
    }
}

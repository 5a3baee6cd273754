//! How far a tokenize job is: a live line on a terminal, plain lines at intervals elsewhere.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratdata_console::{grouped, sized_f};
use ratdata_schemas::ProgressFile;
use ratdata_tokenize::corpus::Progress;
use ratdata_tokenize::hub::FetchProgress;
use ratdata_tokenize::sft::SftProgress;
use ratdata_tokenize::source::SourceFile;

use crate::interrupt;
use crate::plain::plain;
use crate::progress_line::{ProgressLine, Reached};
use crate::ui::Ui;
use crate::watcher::work_and_show;

/// Shows one job.
pub(crate) struct JobProgress<'a> {
    ui: &'a Ui,
    progress: &'a Progress,
    files: u64,
    input_bytes: u64,
}

impl<'a> JobProgress<'a> {
    /// Gets ready to show a job over these files.
    pub(crate) fn start<'f>(
        ui: &'a Ui,
        progress: &'a Progress,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> Self {
        let (files, input_bytes) =
            files.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.bytes));
        Self { ui, progress, files, input_bytes }
    }

    /// Runs `work` and shows how far it is until it returns.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        ProgressLine::new(self.ui, "bytes").watch(work, |seconds| {
            let bytes = &self.progress.input_bytes_done;
            let before = self.progress.input_bytes_before.load(Ordering::Relaxed);
            let done = bytes.load(Ordering::Relaxed) + before;
            let reached = Reached { done, all: self.input_bytes };
            let line = self.line(&reached.time_left(before, seconds), seconds);
            (reached, line)
        })
    }

    /// The time left by the bytes of input, of which this run's alone tell how fast it is, files,
    /// rates, tokens and documents: first what is asked for most.
    fn line(&self, left: &str, seconds: f64) -> String {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let rate = |count: u64| count as f64 / seconds.max(1e-9);
        format!(
            "{left}{}/{} files, {}/s, {:.1} M tokens/s, {} tokens, {} documents",
            load(&self.progress.files_done),
            self.files,
            sized_f(rate(load(&self.progress.text_bytes))),
            rate(load(&self.progress.tokens)) / 1e6,
            grouped(load(&self.progress.tokens)),
            grouped(load(&self.progress.documents)),
        )
    }
}

/// Shows a job over instruction data: it is over in minutes, so a line of counts will do.
pub(crate) struct RowProgress<'a> {
    ui: &'a Ui,
    progress: &'a SftProgress,
}

impl<'a> RowProgress<'a> {
    pub(crate) fn new(ui: &'a Ui, progress: &'a SftProgress) -> Self {
        Self { ui, progress }
    }

    /// Runs `work` and shows how far it is until it returns.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let file = ProgressFile::of_environment();
        if !self.ui.live() && file.is_none() {
            return work();
        }
        let bar = ProgressBar::new_spinner();
        if !self.ui.live() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        work_and_show(work, |done| {
            while !done.is_set() {
                let rows = self.progress.rows.load(Ordering::Relaxed);
                let examples = self.progress.examples.load(Ordering::Relaxed);
                bar.set_message(format!("{} rows, {} examples", grouped(rows), grouped(examples)));
                bar.tick();
                if let Some(file) = &file {
                    file.tell(rows, None, "rows");
                }
                done.wait(Duration::from_millis(100));
            }
            bar.finish_and_clear();
        })
    }
}

/// Shows downloads: one bar a file on a terminal, a line a file elsewhere.
pub(crate) struct FetchBars<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
}

impl<'a> FetchBars<'a> {
    pub(crate) fn new(ui: &'a Ui) -> Self {
        let bar = ProgressBar::hidden();
        if ui.live() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:24.cyan/dim} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {msg}",
        ) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { ui, bar }
    }
}

impl FetchProgress for FetchBars<'_> {
    fn stopped(&self) -> bool {
        interrupt::flag().load(Ordering::Relaxed)
    }

    fn fetched(&self, file: &str, done: u64, total: u64) {
        if !self.ui.live() {
            if done == 0 || done == total {
                let verb = if done == total { "fetched" } else { "fetching" };
                self.ui.note(&format!("{verb} {file} ({})", sized_f(total as f64)));
            }
            return;
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(plain(file).into_owned());
        if done == total {
            self.bar.finish_and_clear();
        }
    }
}

//! Tells of a run: to its record in the store, and to the user as JSON, lines, or a live view.
//!
//! Executors only say what happened; how it looks is decided here.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ratdata_console::sized;
use ratdata_schemas::{ArtifactError, RunEvent, RunEventKind, RunOutcome};

use super::running_step::{RunningStep, tail, words_of};
use crate::failure::Failure;
use crate::library_failures::store_failure;
use crate::store::runs::{EVENTS, record};
use crate::ui::Ui;
use crate::watcher::work_and_show;

/// How often it is told how far the running steps are.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Tells of one run.
pub(crate) struct Reporter<'a> {
    ui: &'a Ui,
    state: Mutex<State>,
    view: MultiProgress,
    /// Where the record is, for errors.
    folder: std::path::PathBuf,
}

struct State {
    record: File,
    running: Vec<(RunningStep, ProgressBar)>,
    /// The reader of our output has closed it. The run continues.
    stdout_closed: bool,
}

impl<'a> Reporter<'a> {
    /// Begins the record of a run in its folder.
    ///
    /// # Errors
    ///
    /// The record cannot be written.
    pub(crate) fn new(ui: &'a Ui, folder: &Path) -> std::io::Result<Self> {
        let state = State { record: record(folder)?, running: Vec::new(), stdout_closed: false };
        let (state, view) = (Mutex::new(state), MultiProgress::new());
        Ok(Self { ui, state, view, folder: folder.to_owned() })
    }

    /// Tells what happened.
    ///
    /// # Errors
    ///
    /// The record or stdout cannot be written; nobody need read what is on stdout.
    pub(crate) fn tell(&self, what: RunEventKind) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = RunEvent { time: now.as_secs_f64(), what };
        let refused =
            |source| store_failure(ArtifactError::Io { path: self.folder.join(EVENTS), source });
        let line = serde_json::to_string(&event).map_err(|wrong| refused(wrong.into()))?;
        let mut state = self.state();
        writeln!(state.record, "{line}").map_err(refused)?;
        if let RunEventKind::StepFinished { step, .. }
        | RunEventKind::StepFailed { step, .. }
        | RunEventKind::StepInterrupted { step } = &event.what
        {
            state.running.retain(|(running, bar)| {
                if running.step == *step {
                    bar.finish_and_clear();
                }
                running.step != *step
            });
        }
        if self.ui.json() {
            if !state.stdout_closed {
                match Ui::print(&line) {
                    Err(closed) if closed.is_silent() => state.stdout_closed = true,
                    printed => return printed,
                }
            }
            return Ok(());
        }
        drop(state);
        let drawn = self.ui.live() && matches!(event.what, RunEventKind::StepProgress { .. });
        if let Some(line) = shown(&event.what).filter(|_| !drawn) {
            self.view.suspend(|| self.ui.note(&line));
        }
        Ok(())
    }

    /// Tells the user of something that is no event of the run.
    pub(crate) fn note(&self, text: &str) {
        self.view.suspend(|| self.ui.note(text));
    }

    /// Watches a step that begins: what it says in `log`, and what it writes into `folder`.
    pub(crate) fn follow(&self, step: &str, log: &Path, folder: &Path) {
        let bar = if self.ui.live() { self.view.add(self.bar()) } else { ProgressBar::hidden() };
        self.state().running.push((RunningStep::new(step, log, folder), bar));
    }

    /// Runs `work`, and meanwhile tells how far the running steps are: in a view that is drawn again
    /// and again on a terminal, and in an event every ten seconds.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        work_and_show(work, |done| {
            let mut told = Instant::now();
            while !done.is_set() {
                self.redraw();
                if told.elapsed() >= PROGRESS_EVERY {
                    told = Instant::now();
                    self.tell_progress();
                }
                done.wait(Duration::from_millis(200));
            }
        })
    }

    fn tell_progress(&self) {
        let running: Vec<_> =
            self.state().running.iter().filter_map(|(running, _)| running.progress()).collect();
        for progress in running {
            // What cannot be written now is met by the next event of weight, which ends the run.
            drop(self.tell(progress));
        }
    }

    fn redraw(&self) {
        for (running, bar) in &mut self.state().running {
            running.look();
            if !self.ui.live() {
                continue;
            }
            if let Some((done, total)) = running.share() {
                if bar.length().is_none() {
                    bar.set_style(self.style("{prefix} {bar:20.cyan/dim} {wide_msg}"));
                }
                bar.set_length(total);
                bar.set_position(done);
            }
            bar.set_message(running.words());
            bar.set_prefix(running.step.clone());
            bar.tick();
        }
    }

    /// A line for a step of which it is not known how much there is to do.
    fn bar(&self) -> ProgressBar {
        ProgressBar::no_length().with_style(self.style("{prefix} {spinner:.cyan} {wide_msg}"))
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let plain = template.replace(".cyan/dim", "").replace(":.cyan", "");
        let template = if self.ui.color() { template } else { &plain };
        let style = ProgressStyle::with_template(template);
        style.unwrap_or_else(|_| ProgressStyle::default_spinner()).progress_chars("━╸─")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the user reads of an event, where it is worth a line.
fn shown(what: &RunEventKind) -> Option<String> {
    Some(match what {
        RunEventKind::RunStarted { pipeline, steps, stale, .. } => {
            let here = std::env::current_dir().unwrap_or_default();
            let pipeline = Path::new(pipeline);
            let pipeline = pipeline.strip_prefix(&here).unwrap_or(pipeline).display();
            format!("{pipeline}: {stale} of {steps} steps are stale")
        }
        RunEventKind::StepWaiting { step } => format!("{step}: another run is at it; waiting"),
        RunEventKind::StepStarted { step, kind, threads, .. } => {
            let threads =
                if *threads == 1 { String::new() } else { format!(", {threads} threads") };
            format!("{step}: {kind}{threads}")
        }
        RunEventKind::StepSubmitted { step, job, array: None, .. } => format!("{step}: job {job}"),
        RunEventKind::StepSubmitted { step, job, array: Some(array), tasks } => {
            format!("{step}: array {array} of {tasks} tasks, then job {job}")
        }
        RunEventKind::StepFinished { step, seconds, bytes, .. } => {
            format!("{step}: done in {seconds:.1} s, {}", sized(*bytes))
        }
        RunEventKind::StepFailed { step, reason, log, .. } => {
            let tail = tail(Path::new(log), 5);
            format!("{step}: failed: {reason}; read {log}{tail}")
        }
        RunEventKind::StepSkipped { step, because } => {
            format!("{step}: not run, since `{because}` failed")
        }
        RunEventKind::StepInterrupted { step } => format!("{step}: stopped"),
        RunEventKind::StepProgress { step, done, total, unit, rate, .. } => {
            let words = words_of(*done, *total, unit, *rate);
            return (!words.is_empty()).then(|| format!("{step}: {words}"));
        }
        RunEventKind::StepFresh { .. } | RunEventKind::JobSubmitted { .. } => return None,
        RunEventKind::RunFinished { outcome, made, fresh, failed, skipped, seconds } => {
            let outcome = match outcome {
                RunOutcome::Done => "done",
                RunOutcome::Failed => "failed",
                RunOutcome::Interrupted => "interrupted",
                RunOutcome::Submitted => "submitted",
            };
            format!(
                "{outcome}: {made} made, {fresh} fresh, {failed} failed, {skipped} not run, in {seconds:.1} s"
            )
        }
    })
}

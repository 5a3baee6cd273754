//! Tells of a run: to its record in the store, and to the user as JSON, lines, or a live view.
//!
//! Executors only say what happened; how it looks is decided here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ratdata_schemas::{Happening, RunEvent, RunOutcome};

use crate::failure::Failure;
use crate::quantity::sized;
use crate::ui::Ui;

/// The name of a run's record of events.
pub(crate) const EVENTS: &str = "events.jsonl";

/// Tells of one run.
pub(crate) struct Reporter<'a> {
    ui: &'a Ui,
    state: Mutex<State>,
    view: MultiProgress,
}

struct State {
    record: File,
    running: Vec<Running>,
}

struct Running {
    step: String,
    log: PathBuf,
    since: Instant,
    bar: ProgressBar,
}

impl<'a> Reporter<'a> {
    /// Begins the record of a run in its folder.
    ///
    /// # Errors
    ///
    /// The record cannot be written.
    pub(crate) fn new(ui: &'a Ui, folder: &Path) -> std::io::Result<Self> {
        let record = File::options().create(true).append(true).open(folder.join(EVENTS))?;
        let state = Mutex::new(State { record, running: Vec::new() });
        Ok(Self { ui, state, view: MultiProgress::new() })
    }

    /// Tells what happened.
    ///
    /// # Errors
    ///
    /// Stdout or the record cannot be written.
    pub(crate) fn tell(&self, what: Happening) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = RunEvent { time: now.as_secs_f64(), what };
        let line = serde_json::to_string(&event).map_err(|wrong| Failure::stdout(&wrong.into()))?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(state.record, "{line}").map_err(|wrong| Failure::stdout(&wrong))?;
        self.follow(&mut state, &event.what);
        drop(state);
        if self.ui.json() {
            return Ui::print(&line);
        }
        if let Some(line) = shown(&event.what) {
            self.view.suspend(|| self.ui.note(&line));
        }
        Ok(())
    }

    /// Runs `work`, and meanwhile shows the running steps where the terminal can be redrawn.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        if !self.ui.live() {
            return work();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    self.redraw();
                    std::thread::park_timeout(Duration::from_millis(200));
                }
            });
            let result = work();
            done.store(true, Ordering::Release);
            watcher.thread().unpark();
            result
        })
    }

    fn redraw(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for running in &state.running {
            let seconds = running.since.elapsed().as_secs();
            let said = last_line(&running.log).unwrap_or_default();
            running.bar.set_message(format!("{}  {seconds} s  {said}", running.step));
            running.bar.tick();
        }
    }

    fn follow(&self, state: &mut State, what: &Happening) {
        match what {
            Happening::StepStarted { step, log, .. } if self.ui.live() => {
                let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}");
                let bar = ProgressBar::new_spinner();
                let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
                state.running.push(Running {
                    step: step.clone(),
                    log: PathBuf::from(log),
                    since: Instant::now(),
                    bar: self.view.add(bar),
                });
            }
            Happening::StepFinished { step, .. }
            | Happening::StepFailed { step, .. }
            | Happening::StepInterrupted { step } => {
                state.running.retain(|running| {
                    if running.step == *step {
                        running.bar.finish_and_clear();
                    }
                    running.step != *step
                });
            }
            _ => {}
        }
    }
}

/// What the user reads of an event, where it is worth a line.
fn shown(what: &Happening) -> Option<String> {
    Some(match what {
        Happening::RunStarted { pipeline, steps, stale, .. } => {
            format!("{pipeline}: {stale} of {steps} steps are stale")
        }
        Happening::StepWaiting { step } => format!("{step}: another run is at it; waiting"),
        Happening::StepStarted { step, kind, threads, .. } => {
            let threads =
                if *threads == 1 { String::new() } else { format!(", {threads} threads") };
            format!("{step}: {kind}{threads}")
        }
        Happening::StepSubmitted { step, job, array: None, .. } => format!("{step}: job {job}"),
        Happening::StepSubmitted { step, job, array: Some(array), tasks } => {
            format!("{step}: array {array} of {tasks} tasks, then job {job}")
        }
        Happening::StepFinished { step, seconds, bytes, .. } => {
            format!("{step}: done in {seconds:.1} s, {}", sized(*bytes))
        }
        Happening::StepFailed { step, reason, log, .. } => {
            let tail = tail(Path::new(log), 5);
            format!("{step}: failed: {reason}; read {log}{tail}")
        }
        Happening::StepSkipped { step, because } => {
            format!("{step}: not run, since `{because}` failed")
        }
        Happening::StepInterrupted { step } => format!("{step}: stopped"),
        Happening::StepFresh { .. } => return None,
        Happening::RunFinished { outcome, made, fresh, failed, skipped, seconds } => {
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

/// Returns the last lines of a log, each on a line of its own and set in.
fn tail(log: &Path, count: usize) -> String {
    let text = end_of(log, 4096).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    last.iter().flat_map(|line| ["\n    ", line]).collect()
}

fn last_line(log: &Path) -> Option<String> {
    let text = end_of(log, 512)?;
    text.lines().rev().find(|line| !line.is_empty() && !line.starts_with("$ ")).map(str::to_owned)
}

fn end_of(path: &Path, bytes: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(bytes))).ok()?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end).ok()?;
    Some(String::from_utf8_lossy(&end).into_owned())
}

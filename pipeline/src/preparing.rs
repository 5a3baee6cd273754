//! What the commands that take rows and give rows have in common, from their inputs to their summary.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ratdata_console::{grouped, sized_f};
use ratdata_prepare::{Decide, Job, JobSettings, Outcome, PrepareError, Progress, estimate};
use ratdata_tokenize::hub::{resolve_sample, resolve_splits};
use serde_json::Value;

use crate::arguments::{Inputs, RowsArgs, tell_left_out};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::hub_failure;
use crate::number::threads_of;
use crate::progress::FetchBars;
use crate::progress_line::{ProgressLine, Reached};
use crate::summary::{PreparedSummary, RowsEstimate};
use crate::ui::Ui;

/// A command that takes rows and gives rows.
pub(crate) struct Preparing<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) args: &'a RowsArgs,
    /// The name of the command.
    pub(crate) kind: &'static str,
    /// Its own settings.
    pub(crate) own: Value,
    /// The one of them that a finished job may change without looking again.
    pub(crate) movable: Option<&'static str>,
}

impl Preparing<'_> {
    /// Predicts from a sample what a decision keeps.
    pub(crate) fn estimate<D: Decide>(&self, decide: &D) -> Result<(), Failure> {
        let bars = FetchBars::new(self.ui);
        let (args, stop) = (self.args, interrupt::flag());
        let input = Inputs::take(self.ui, &args.input)?;
        let found = resolve_sample(&input.named, args.split_files, &bars);
        let found = found.map_err(|wrong| hub_failure(&wrong))?;
        tell_left_out(self.ui, &found.left);
        let threads = threads_of(args.num_proc);
        let estimate = estimate(decide, &args.rows(), &found.files, threads, stop);
        self.ui.emit(&RowsEstimate(estimate.map_err(|wrong| prepare_failure(&wrong))?))
    }

    /// Runs the job: `work` does the passes over the rows, and says what is recorded of them; of a share,
    /// it does only what a share can.
    pub(crate) fn run(
        &self,
        work: impl FnOnce(&Job, usize, &Progress) -> Result<Value, PrepareError>,
    ) -> Result<(), Failure> {
        interrupt::end_promptly(self.ui, prepare_failure(&PrepareError::Interrupted));
        let bars = FetchBars::new(self.ui);
        let (args, stop) = (self.args, interrupt::flag());
        let input = Inputs::take(self.ui, &args.input)?;
        let found = resolve_splits(&input.named, args.split_files, &bars);
        let found = found.map_err(|wrong| hub_failure(&wrong))?;
        tell_left_out(self.ui, &found.left);
        let begun = Instant::now();
        let settings = JobSettings {
            kind: self.kind,
            settings: args.settings(&self.own),
            movable: self.movable,
            rows: args.rows(),
        };
        let opened = Job::open(settings, found.files, &args.out, args.force, stop);
        let job = match opened.map_err(|wrong| prepare_failure(&wrong))? {
            Outcome::Done(prepared) => {
                self.ui.note(&format!("{}: already done", args.out.display()));
                return self.ui.emit(&PreparedSummary::of(&args.out, &prepared, None));
            }
            Outcome::Open(job) => job,
        };
        let progress = Progress::default();
        let threads = threads_of(args.num_proc);
        let more = self.watch(&progress, || work(&job, threads, &progress));
        let more = more.map_err(|wrong| prepare_failure(&wrong))?;
        if let Some(share) = args.shard {
            self.ui
                .note(&format!("share {share} is done; run without `--shard` to make the result"));
            return Ok(());
        }
        let prepared = job.commit(more, stop).map_err(|wrong| prepare_failure(&wrong))?;
        if prepared.totals.kept == 0 {
            self.ui.warn("no row is kept");
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.ui.emit(&PreparedSummary::of(&args.out, &prepared, Some(seconds)))
    }

    /// Returns whether this process works on a file.
    pub(crate) fn wants(&self, number: usize) -> bool {
        self.args.shard.is_none_or(|share| share.has(number))
    }

    /// Runs `work` and shows how far it is until it returns.
    fn watch<T>(&self, progress: &Progress, work: impl FnOnce() -> T) -> T {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressLine::new(self.ui, "bytes").watch(work, |seconds| {
            let before = load(&progress.input_bytes_before);
            let done = load(&progress.input_bytes) + before;
            let all = load(&progress.input_bytes_all).max(done);
            let stage = progress.stage.lock().map(|stage| *stage).unwrap_or_default();
            let reached = Reached { done, all };
            let left = reached.time_left(before, seconds);
            let words = format!(
                "{stage}: {left}{}/s of input, {} rows, {} kept",
                sized_f(load(&progress.input_bytes) as f64 / seconds.max(1e-9)),
                grouped(load(&progress.rows)),
                grouped(load(&progress.kept)),
            );
            (reached, words)
        })
    }
}

/// Tells why rows could not be prepared.
pub(crate) fn prepare_failure(wrong: &PrepareError) -> Failure {
    let kind = match wrong {
        PrepareError::Interrupted => Kind::Interrupted,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

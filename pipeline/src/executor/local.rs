//! Runs tasks as processes of this machine: as many at once as threads and memory allow.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ratdata_schemas::RunEventKind;
use ratdata_tokenize::Share;

use super::error::TaskError;
use super::run::{Run, Totals};
use super::task::Done;
use super::waits::Waits;
use crate::dag::file::Pipeline;
use crate::dag::plan::{Plan, PlanIndex};
use crate::dag::step_kind::{Sharing, StepKind, key};
use crate::failure::Failure;
use crate::interrupt;
use crate::number::threads_of;
use crate::store::{self, Store};
use crate::ui::Ui;

/// What the steps of a run may use together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) threads: usize,
    pub(crate) memory_gb: f64,
    /// How many steps may run at once.
    pub(crate) jobs: usize,
}

impl Limits {
    /// Returns what a pipeline, or the command line, lets its steps use.
    pub(crate) fn of(pipeline: &Pipeline, threads: Option<NonZeroUsize>) -> Self {
        Self {
            threads: threads_of(threads.or(pipeline.threads)),
            memory_gb: pipeline.memory_gb.unwrap_or(f64::INFINITY),
            jobs: usize::MAX,
        }
    }
}

enum Message {
    Waits(PlanIndex),
    Ended { step: PlanIndex, seconds: f64, ended: Result<Done, TaskError> },
}

/// Runs a plan on this machine, with all that it has, from its record's beginning to its end.
///
/// # Errors
///
/// As of [`execute`]; or a step failed, or the user interrupted the run.
pub(crate) fn run_plan(
    ui: &Ui,
    pipeline: &Pipeline,
    plan: &Plan,
    store: &Store,
) -> Result<(), Failure> {
    let run = Run::begin(ui, pipeline, plan, store)?;
    let limits = Limits::of(pipeline, None);
    let totals = run.reporter.watch(|| execute(&run, limits, None, interrupt::flag()))?;
    run.end(totals)
}

/// Runs the stale steps of a plan, each as soon as its inputs are there.
///
/// With a share, only steps that can be shared are run, and their results are left to be made.
///
/// # Errors
///
/// The store or stdout cannot be written. A step that fails is counted, and those that do not
/// need it continue.
pub(crate) fn execute(
    run: &Run<'_>,
    limits: Limits,
    share: Option<Share>,
    stop: &AtomicBool,
) -> Result<Totals, Failure> {
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        let mut board = Board::new(run, limits, share)?;
        loop {
            if !stop.load(Ordering::Relaxed) {
                for step in board.startable() {
                    let threads = board.start(step)?;
                    let own = sender.clone();
                    let worker = move || work(run, step, threads, share, stop, &own);
                    if let Err(source) = std::thread::Builder::new().spawn_scoped(scope, worker) {
                        let ended = Err(TaskError::Thread { source });
                        drop(sender.send(Message::Ended { step, seconds: 0.0, ended }));
                    }
                }
            }
            if board.running.is_empty() {
                return Ok(board.end(stop.load(Ordering::Relaxed)));
            }
            board.receive(&receiver)?;
        }
    })
}

fn work(
    run: &Run<'_>,
    step: PlanIndex,
    threads: usize,
    share: Option<Share>,
    stop: &AtomicBool,
    sender: &Sender<Message>,
) {
    let begun = Instant::now();
    let task = run.task(step);
    let log = run.log_of(step, share);
    // The receiver lives as long as any step runs.
    let send = |message| drop(sender.send(message));
    let ended = match share {
        Some(share) => task.run_share(share, threads, &log, stop),
        None => task.run(threads, &log, stop, &mut || send(Message::Waits(step))),
    };
    send(Message::Ended { step, seconds: begun.elapsed().as_secs_f64(), ended });
}

/// Who runs, who waits for whom, and what is free.
struct Board<'r, 'a> {
    run: &'r Run<'a>,
    limits: Limits,
    share: Option<Share>,
    waits: Waits<'r, 'a>,
    /// Running steps with their threads.
    running: std::collections::BTreeMap<PlanIndex, usize>,
    totals: Totals,
}

impl<'r, 'a> Board<'r, 'a> {
    fn new(run: &'r Run<'a>, limits: Limits, share: Option<Share>) -> Result<Self, Failure> {
        let waits = Waits::new(run)?;
        let totals = Totals { fresh: waits.fresh, ..Totals::default() };
        let running = std::collections::BTreeMap::new();
        Ok(Self { run, limits, share, waits, running, totals })
    }

    /// Returns the steps that may begin now: what they need is free, or nothing else runs.
    fn startable(&self) -> Vec<PlanIndex> {
        let step = |number: PlanIndex| self.run.step(number);
        let mut jobs = self.running.len();
        let mut threads: usize = self.running.values().sum();
        let mut memory: f64 = self.running.keys().map(|&number| step(number).memory_gb).sum();
        let mut found = Vec::new();
        for &number in self.waits.ready() {
            if self.share.is_some() && step(number).sharing() == Sharing::Nothing {
                continue;
            }
            let needs = step(number).threads.map_or(1, NonZeroUsize::get).min(self.limits.threads);
            let fits = jobs < self.limits.jobs
                && threads + needs <= self.limits.threads
                && memory + step(number).memory_gb <= self.limits.memory_gb;
            if fits || jobs == 0 {
                jobs += 1;
                threads += needs;
                memory += step(number).memory_gb;
                found.push(number);
            }
        }
        found
    }

    /// Tells that a step begins, and returns how many threads it gets.
    fn start(&mut self, number: PlanIndex) -> Result<usize, Failure> {
        let planned = &self.run.plan[number];
        let step = self.run.step(number);
        let task = self.run.task(number);
        self.waits.begin(number);
        let used: usize = self.running.values().sum();
        let free = self.limits.threads.saturating_sub(used).max(1);
        let own = step.knobs.get(key::NUM_PROC).and_then(serde_json::Value::as_u64);
        let own = own.and_then(|own| usize::try_from(own).ok());
        let threads = match step.threads.map(NonZeroUsize::get).or(own) {
            Some(wanted) => wanted.min(self.limits.threads),
            // What a program of the user's own can use is not known, unless it is said.
            None if task.kind == StepKind::Command => 1,
            // All others share what is free with the others that wait.
            None => {
                let is_ours = |other: &&PlanIndex| self.run.task(**other).kind != StepKind::Command;
                free.div_ceil(self.waits.ready().iter().filter(is_ours).count() + 1)
            }
        };
        self.running.insert(number, threads);
        let log = self.run.log_of(number, self.share);
        self.run.reporter.tell(RunEventKind::StepStarted {
            step: planned.name.clone(),
            kind: planned.kind.to_string(),
            fingerprint: planned.fingerprint.clone(),
            threads,
            log: log.display().to_string(),
        })?;
        let store = self.run.store;
        let folder = match self.share {
            Some(share) => store.share(&task.object, share),
            None => store.staging(&task.object),
        };
        self.run.reporter.follow(&planned.name, &log, &folder);
        Ok(threads)
    }

    /// Waits for something to happen, but not for long: the user may interrupt.
    fn receive(&mut self, receiver: &Receiver<Message>) -> Result<(), Failure> {
        let Ok(message) = receiver.recv_timeout(Duration::from_millis(200)) else { return Ok(()) };
        match message {
            Message::Waits(step) => {
                let step = self.run.task(step).name.clone();
                self.run.reporter.tell(RunEventKind::StepWaiting { step })
            }
            Message::Ended { step, seconds, ended } => {
                self.running.remove(&step);
                self.ended(step, seconds, ended)
            }
        }
    }

    fn ended(
        &mut self,
        number: PlanIndex,
        seconds: f64,
        ended: Result<Done, TaskError>,
    ) -> Result<(), Failure> {
        let task = self.run.task(number);
        let step = task.name.clone();
        let tell = |what| self.run.reporter.tell(what);
        match ended {
            Ok(_) => {
                let result = match self.share {
                    Some(_) => self.run.store.shares(&task.object),
                    None => self.run.store.object(&task.object),
                };
                let bytes = store::size(&result).unwrap_or(0);
                let result = result.display().to_string();
                tell(RunEventKind::StepFinished { step, result, seconds, bytes })?;
                self.totals.made += 1;
                if self.share.is_none() {
                    self.waits.is_there(number);
                } else {
                    self.waits.is_over(number);
                }
            }
            Err(TaskError::Interrupted) => {
                tell(RunEventKind::StepInterrupted { step })?;
                self.totals.interrupted = true;
                self.waits.stopped(number);
            }
            Err(wrong) => {
                let log = self.run.log_of(number, self.share).display().to_string();
                tell(RunEventKind::StepFailed { step, seconds, reason: wrong.to_string(), log })?;
                self.totals.failed += 1;
                self.totals.skipped += self.waits.failed(number)?;
            }
        }
        Ok(())
    }

    fn end(mut self, stopped: bool) -> Totals {
        let waiting = self.waits.waiting();
        self.totals.interrupted |= stopped && waiting > 0;
        if self.totals.interrupted || self.share.is_some() {
            self.totals.skipped += waiting;
        }
        self.totals
    }
}

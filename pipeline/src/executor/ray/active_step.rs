//! A step that the cluster is at: its shares first, and then the job that makes the result.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use ratdata_schemas::{ProgressFile, RunEventKind};
use ratdata_tokenize::Share;

use super::client::Listed;
use super::contact::Contact;
use super::job::{Known, Standing, Wanted, entrypoint};
use crate::dag::plan::PlanIndex;
use crate::dag::ray_settings::RaySettings;
use crate::executor::command::words;
use crate::executor::run::Run;
use crate::executor::running_step::progress_file_of;
use crate::executor::shareable::missing;
use crate::failure::{Failure, Kind};

/// How many shares a step has where the pipeline does not say.
const SHARES: usize = 16;

/// How often a job is submitted again that the cluster lost.
const LOST: usize = 3;

/// How often a job is submitted again that the cluster had no room for: about a day of waits of 15 minutes.
const NOT_STARTED: usize = 96;

/// A step that the cluster is at.
pub(super) struct ActiveStep {
    pub(super) number: PlanIndex,
    pub(super) begun: Instant,
    settings: RaySettings,
    words: Vec<String>,
    jobs: Vec<Job>,
    progress: Option<ProgressFile>,
    progress_path: PathBuf,
    /// When its last job has done its work.
    pub(super) made: Option<Instant>,
}

/// One of its jobs.
struct Job {
    wanted: Wanted,
    /// The attempt that the cluster is at, from 1.
    attempt: usize,
    lost: usize,
    not_started: usize,
    /// Whether the cluster has not begun it.
    waits: bool,
    ended: Option<Ended>,
}

/// How a job ended.
#[derive(Clone, Debug)]
enum Ended {
    Done,
    Stopped,
    Failed(String),
}

/// Where a step is.
#[derive(Debug)]
pub(super) enum Progress {
    /// The cluster is at it.
    UnderWay,
    /// Its shares are there.
    Shared,
    /// Its last job has done its work.
    Made,
    /// Its jobs were stopped on the cluster.
    Stopped,
    /// A job failed; this is the log of it, where there is one.
    Failed { reason: String, log: PathBuf },
}

impl ActiveStep {
    /// Begins a step, or continues one whose jobs the cluster has from an earlier run.
    pub(super) fn begin(
        run: &Run<'_>,
        number: PlanIndex,
        arguments: &[String],
    ) -> Result<Self, Failure> {
        let planned = &run.plan[number];
        let settings = run.pipeline.ray.of_kind(planned.kind);
        let words = words(run, planned, &run.pipeline.path, arguments, Some(settings.cpus()));
        let log = run.log_of(number, None);
        run.reporter.tell(RunEventKind::StepStarted {
            step: planned.name.clone(),
            kind: planned.kind.to_string(),
            fingerprint: planned.fingerprint.clone(),
            threads: settings.cpus(),
            log: log.display().to_string(),
        })?;
        run.reporter.follow(&planned.name, &log, &run.store.staging(&planned.object));
        let shares = missing(run, number, settings.array.unwrap_or(SHARES));
        let shares: Vec<Option<Share>> =
            if shares.is_empty() { vec![None] } else { shares.into_iter().map(Some).collect() };
        let job = |share| Job::of(Wanted::of(run.store, planned, share));
        let progress_path = progress_file_of(&log);
        Ok(Self {
            number,
            begun: Instant::now(),
            settings,
            words,
            jobs: shares.into_iter().map(job).collect(),
            // Without it the run shows how much is written.
            progress: ProgressFile::create(&progress_path).ok(),
            progress_path,
            made: None,
        })
    }

    /// Submits the jobs that the cluster does not have.
    pub(super) fn submit(
        &mut self,
        run: &Run<'_>,
        contact: &Contact<'_>,
        jobs: &[Listed],
        stopped: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let mut found = 0;
        for place in 0..self.jobs.len() {
            let newest = self.jobs[place].wanted.newest(jobs);
            let is_live = |known: &Known| match known.standing {
                Standing::Running => true,
                // What waits for room and was asked to end does nothing but end.
                Standing::Pending => !stopped.contains(&known.id),
                _ => false,
            };
            match newest {
                Some(known) if is_live(&known) => {
                    self.jobs[place].attempt = known.attempt;
                    found += 1;
                }
                newest => {
                    let attempt = newest.map_or(1, |known| known.attempt + 1);
                    self.submit_one(run, contact, place, attempt)?;
                }
            }
        }
        if found > 0 {
            let step = &run.task(self.number).name;
            let jobs = if found == 1 { "a job".to_owned() } else { format!("{found} jobs") };
            run.reporter.note(&format!("{step}: {jobs} of an earlier run continue"));
        }
        self.show();
        Ok(())
    }

    fn submit_one(
        &mut self,
        run: &Run<'_>,
        contact: &Contact<'_>,
        place: usize,
        attempt: usize,
    ) -> Result<(), Failure> {
        let job = &mut self.jobs[place];
        let share = job.wanted.share;
        let command = entrypoint(&self.words, &self.settings, share).map_err(|wrong| {
            Failure::message(Kind::Failed, format!("the current folder: {wrong}"))
        })?;
        job.attempt = attempt;
        contact.submit(&job.wanted.submission(attempt, command, &self.settings))?;
        run.reporter.tell(RunEventKind::JobSubmitted {
            step: run.task(self.number).name.clone(),
            job: job.wanted.id(attempt),
            share: share.map(|share| share.to_string()),
        })
    }

    /// Looks at what the cluster says of the jobs, and submits again what it lost.
    pub(super) fn look(
        &mut self,
        run: &Run<'_>,
        contact: &Contact<'_>,
        jobs: &[Listed],
        cancelled: &BTreeSet<String>,
    ) -> Result<Progress, Failure> {
        for place in 0..self.jobs.len() {
            if self.jobs[place].ended.is_none() {
                self.look_at(run, contact, jobs, place)?;
            }
            let job = &mut self.jobs[place];
            // A job that waits for room ends once it has begun, which nobody has to wait for.
            if job.ended.is_none() && job.waits && cancelled.contains(&job.wanted.id(job.attempt)) {
                job.ended = Some(Ended::Stopped);
            }
        }
        self.show();
        if self.jobs.iter().any(|job| job.ended.is_none()) {
            return Ok(Progress::UnderWay);
        }
        let failures = || self.jobs.iter().filter_map(Job::failure);
        if let Some((job, reason)) = failures().next() {
            let others = match failures().count() - 1 {
                0 => String::new(),
                others => format!(" (and {others} more)"),
            };
            let log = run.log_of(self.number, job.wanted.share);
            return Ok(Progress::Failed { reason: format!("{reason}{others}"), log });
        }
        if self.jobs.iter().any(|job| matches!(job.ended, Some(Ended::Stopped))) {
            return Ok(Progress::Stopped);
        }
        let is_shared = self.jobs.iter().any(|job| job.wanted.share.is_some());
        Ok(if is_shared { Progress::Shared } else { Progress::Made })
    }

    fn look_at(
        &mut self,
        run: &Run<'_>,
        contact: &Contact<'_>,
        jobs: &[Listed],
        place: usize,
    ) -> Result<(), Failure> {
        let job = &mut self.jobs[place];
        let newest = job.wanted.newest(jobs).filter(|known| known.attempt >= job.attempt);
        let (id, standing) = if let Some(known) = newest {
            // Another run may have submitted it again.
            job.attempt = known.attempt;
            (known.id, known.standing)
        } else {
            let reason = "the cluster knows nothing of it any more";
            (job.wanted.id(job.attempt), Standing::Lost(reason.into()))
        };
        job.waits = standing == Standing::Pending;
        let (again, reason) = match standing {
            Standing::Pending | Standing::Running => return Ok(()),
            Standing::Succeeded => {
                job.ended = Some(Ended::Done);
                return Ok(());
            }
            Standing::Stopped => {
                job.ended = Some(Ended::Stopped);
                return Ok(());
            }
            Standing::NotStarted => {
                job.not_started += 1;
                let reason = "the cluster had no room for it in time".to_owned();
                (job.not_started <= NOT_STARTED, reason)
            }
            Standing::Lost(reason) => {
                job.lost += 1;
                (job.lost <= LOST, reason)
            }
            Standing::Failed(reason) => (false, reason),
        };
        let share = job.wanted.share;
        let name = share.map_or_else(String::new, |share| format!("share {share}: "));
        let reason = format!("{name}job {id}: {reason}");
        let step = &run.task(self.number).name;
        if again {
            run.reporter.note(&format!("{step}: {reason}; it is submitted again"));
            let attempt = job.attempt + 1;
            return self.submit_one(run, contact, place, attempt);
        }
        contact.keep_log(&id, &run.log_of(self.number, share));
        if self.jobs.len() > 1 {
            run.reporter.note(&format!("{step}: {reason}; the other shares continue"));
        }
        self.jobs[place].ended = Some(Ended::Failed(reason));
        Ok(())
    }

    /// Makes the result the next job, once the shares are there.
    pub(super) fn join(&mut self, run: &Run<'_>) {
        self.jobs = vec![Job::of(Wanted::of(run.store, &run.plan[self.number], None))];
    }

    /// Returns the names of the jobs that the cluster is at.
    pub(super) fn live(&self) -> impl Iterator<Item = String> + '_ {
        let live = self.jobs.iter().filter(|job| job.ended.is_none() && job.attempt > 0);
        live.map(|job| job.wanted.id(job.attempt))
    }

    /// Reports how many shares are done.
    fn show(&self) {
        let done = self.jobs.iter().filter(|job| matches!(job.ended, Some(Ended::Done))).count();
        if let Some(progress) = &self.progress {
            let unit = if self.jobs.len() == 1 { "jobs" } else { "shares" };
            progress.tell(done as u64, Some(self.jobs.len() as u64), unit);
        }
    }
}

impl Drop for ActiveStep {
    /// A step that has ended reports no progress.
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.progress_path));
    }
}

impl Job {
    fn of(wanted: Wanted) -> Self {
        Self { wanted, attempt: 0, lost: 0, not_started: 0, waits: true, ended: None }
    }

    fn failure(&self) -> Option<(&Self, &String)> {
        match &self.ended {
            Some(Ended::Failed(reason)) => Some((self, reason)),
            _ => None,
        }
    }
}

//! Runs a plan on a Ray cluster: its steps are jobs of Ray's job API.
//!
//! Jobs of Ray do not wait for each other, so this program stays and submits each one when its inputs are there: the shares
//! of a step, then the job that makes the result. A job runs `ratdata run PIPELINE STEP`, with `--shard=I/N` for a share,
//! as a cluster's jobs do everywhere. The store is on a file system that all nodes see.
//!
//! - A job whose program fails is a failure of its step. A job that the cluster lost or had no room for is submitted again.
//! - A run that is killed leaves its jobs on the cluster. The same command finds them there by what they make, and waits
//!   for them.
//! - Ctrl-C stops the jobs. Those that `ratdata cancel` or Ray's own tools stop are not submitted again.
//!
//! [`client`] speaks the API, [`contact`] asks again where the cluster does not answer, [`job`] names jobs and reads what
//! becomes of them, [`active_step`] is a step that the cluster is at, and [`record`] is what a run keeps of its cluster.

mod active_step;
mod address;
mod client;
mod contact;
mod error;
mod job;
mod record;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratdata_schemas::{ArtifactError, RunEventKind};

use self::active_step::{ActiveStep, Progress};
pub(crate) use self::client::Cluster;
use self::client::Listed;
use self::contact::Contact;
pub(crate) use self::job::LiveJob;
use super::run::{Run, Totals};
use super::waits::Waits;
use crate::failure::Failure;
use crate::library_failures::store_failure;
use crate::store::{self, Store};

/// The least and the most time between two looks at the cluster: the most after long quiet.
const LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How long a result may take to be seen here after its job: network file systems keep what they know of folders for a
/// while.
const ARRIVES: Duration = Duration::from_mins(1);

/// How long jobs have to end after they are asked to.
const GRACE: Duration = Duration::from_secs(30);

/// Runs the stale steps of a plan on a cluster, each as soon as its inputs are there.
///
/// # Errors
///
/// The cluster does not answer, or refuses a job; the store or stdout cannot be written. A step that fails is counted, and
/// those that do not need it continue.
pub(crate) fn execute(
    run: &Run<'_>,
    cluster: &Cluster,
    arguments: &[String],
    stop: &AtomicBool,
) -> Result<Totals, Failure> {
    let version = cluster.version()?;
    let mut jobs = cluster.jobs()?;
    run.reporter.note(&format!("Ray {version} at {}", cluster.address()));
    record::keep_address(&run.folder, cluster.address()).map_err(unwritten(&run.folder))?;
    let contact = Contact { cluster, reporter: &run.reporter, stop };
    let stopped = record::stopped(run.store, &run.pipeline.identity);
    let waits = Waits::new(run)?;
    let totals = Totals { fresh: waits.fresh, ..Totals::default() };
    let (active, changed) = (Vec::new(), Instant::now());
    let mut board = Board { run, contact, arguments, stopped, waits, active, totals, changed };
    loop {
        match board.turn(&mut jobs) {
            Ok(true) => {}
            Ok(false) => return Ok(board.end()),
            Err(_) if stop.load(Ordering::Relaxed) => return board.stop(),
            Err(wrong) => return Err(wrong),
        }
    }
}

/// How a step ended.
enum Ending {
    Made { result: PathBuf },
    Stopped,
    Failed { reason: String, log: PathBuf },
}

/// The steps that the cluster is at, and those that wait.
struct Board<'r, 'a> {
    run: &'r Run<'a>,
    contact: Contact<'r>,
    arguments: &'r [String],
    /// Jobs that an earlier run asked to end.
    stopped: BTreeSet<String>,
    waits: Waits<'r, 'a>,
    active: Vec<ActiveStep>,
    totals: Totals,
    /// When a job last ended.
    changed: Instant,
}

impl Board<'_, '_> {
    /// Begins what may begin, and looks once at what becomes of it; returns whether there is more to do.
    fn turn(&mut self, jobs: &mut Vec<Listed>) -> Result<bool, Failure> {
        self.begin(jobs)?;
        if self.active.is_empty() {
            return Ok(false);
        }
        self.contact.pause((self.changed.elapsed() / 20).clamp(LOOK.0, LOOK.1))?;
        *jobs = self.contact.jobs()?;
        self.look(jobs)?;
        Ok(true)
    }

    /// Begins the steps whose inputs are there.
    fn begin(&mut self, jobs: &[Listed]) -> Result<(), Failure> {
        for number in self.waits.ready().clone() {
            self.waits.begin(number);
            // Whatever happens now, its jobs are among those that can be stopped.
            self.active.push(ActiveStep::begin(self.run, number, self.arguments)?);
            if let Some(step) = self.active.last_mut() {
                step.submit(self.run, &self.contact, jobs, &self.stopped)?;
            }
        }
        Ok(())
    }

    /// Looks at all steps, and ends those that have ended.
    fn look(&mut self, jobs: &[Listed]) -> Result<(), Failure> {
        let cancelled = record::stopped_by(&self.run.folder);
        let mut place = 0;
        while let Some(step) = self.active.get_mut(place) {
            let progress = step.look(self.run, &self.contact, jobs, &cancelled)?;
            if !matches!(progress, Progress::UnderWay) {
                self.changed = Instant::now();
            }
            let task = self.run.task(step.number);
            let result = self.run.store.object(&task.object);
            let ending = match progress {
                Progress::UnderWay => None,
                Progress::Shared => {
                    step.join(self.run);
                    step.submit(self.run, &self.contact, jobs, &self.stopped)?;
                    None
                }
                Progress::Made if result.is_dir() => Some(Ending::Made { result }),
                Progress::Made => {
                    let since = step.made.get_or_insert_with(Instant::now);
                    (since.elapsed() > ARRIVES).then(|| Ending::Failed {
                        reason: format!(
                            "its job has succeeded, and {} is not there: is the store on a file system that all nodes see?",
                            result.display()
                        ),
                        log: self.run.log_of(step.number, None),
                    })
                }
                Progress::Stopped => Some(Ending::Stopped),
                Progress::Failed { reason, log } => Some(Ending::Failed { reason, log }),
            };
            match ending {
                None => place += 1,
                Some(ending) => {
                    let step = self.active.remove(place);
                    self.end_step(&step, ending)?;
                }
            }
        }
        Ok(())
    }

    /// Reports how a step ended, and lets those begin that take its result.
    fn end_step(&mut self, step: &ActiveStep, ending: Ending) -> Result<(), Failure> {
        let task = self.run.task(step.number);
        let (name, seconds) = (task.name.clone(), step.begun.elapsed().as_secs_f64());
        match ending {
            Ending::Made { result } => {
                // The job has put the link that was asked for, unless its node does not see the folder.
                task.remember(self.run.store).map_err(store_failure)?;
                self.run.reporter.tell(RunEventKind::StepFinished {
                    step: name,
                    seconds,
                    bytes: store::size(&result).unwrap_or(0),
                    result: result.display().to_string(),
                })?;
                self.totals.made += 1;
                self.waits.is_there(step.number);
            }
            Ending::Stopped => {
                self.run.reporter.tell(RunEventKind::StepInterrupted { step: name })?;
                self.waits.stopped(step.number);
                self.totals.interrupted = true;
            }
            Ending::Failed { reason, log } => {
                let log = log.display().to_string();
                let failed = RunEventKind::StepFailed { step: name, seconds, reason, log };
                self.run.reporter.tell(failed)?;
                self.totals.failed += 1;
                self.totals.skipped += self.waits.failed(step.number)?;
            }
        }
        Ok(())
    }

    /// Stops all jobs, since the user asked to.
    fn stop(mut self) -> Result<Totals, Failure> {
        if let Err(wrong) = self.stop_jobs() {
            let text = wrong.text();
            self.run.reporter.note(&format!("{text}; the jobs continue on the cluster"));
        }
        for step in std::mem::take(&mut self.active) {
            let name = self.run.task(step.number).name.clone();
            self.run.reporter.tell(RunEventKind::StepInterrupted { step: name })?;
            self.waits.stopped(step.number);
        }
        self.totals.interrupted = true;
        Ok(self.end())
    }

    /// Asks the cluster to end all jobs, and waits for those that run.
    fn stop_jobs(&self) -> Result<(), Failure> {
        let cluster = self.contact.cluster;
        let ids: BTreeSet<String> = self.active.iter().flat_map(ActiveStep::live).collect();
        stop_jobs(cluster, &self.run.folder, &ids)?;
        let begun = Instant::now();
        while begun.elapsed() < GRACE {
            // What waits for room ends once the cluster begins it, which may take any time.
            let is_running = |job: &LiveJob| ids.contains(&job.id) && job.state == "running";
            let jobs = cluster.jobs()?;
            if !jobs
                .iter()
                .filter_map(|job| job.live_in(self.run.store))
                .any(|job| is_running(&job))
            {
                break;
            }
            std::thread::sleep(LOOK.0);
        }
        Ok(())
    }

    fn end(mut self) -> Totals {
        if self.totals.interrupted {
            self.totals.skipped += self.waits.waiting();
        }
        self.totals
    }
}

/// The jobs of a pipeline that its last cluster has.
pub(crate) struct LiveJobs {
    cluster: Cluster,
    /// The folder of the run that submitted them.
    folder: PathBuf,
    pub(crate) jobs: Vec<LiveJob>,
}

/// Returns the jobs of a pipeline that wait or run on the cluster of its last run there; none where it had none.
///
/// # Errors
///
/// The cluster does not answer.
pub(crate) fn live(store: &Store, pipeline: &Path) -> Result<Option<LiveJobs>, Failure> {
    let Some((folder, address)) = record::last(store, pipeline) else { return Ok(None) };
    let cluster = Cluster::at(&address)?;
    let stopped = record::stopped(store, pipeline);
    let jobs = cluster.jobs()?;
    let live = jobs.iter().filter_map(|job| job.live_in(store));
    let jobs = live.filter(|job| !stopped.contains(&job.id)).collect();
    Ok(Some(LiveJobs { cluster, folder, jobs }))
}

impl LiveJobs {
    /// Asks the cluster to end some of the jobs.
    ///
    /// # Errors
    ///
    /// The cluster does not answer, or the store cannot be written.
    pub(crate) fn stop(&self, ids: &BTreeSet<String>) -> Result<(), Failure> {
        stop_jobs(&self.cluster, &self.folder, ids)
    }
}

fn stop_jobs(cluster: &Cluster, folder: &Path, ids: &BTreeSet<String>) -> Result<(), Failure> {
    let all = ids.iter().map(String::as_str);
    record::add_stopped(folder, all).map_err(unwritten(folder))?;
    Ok(ids.iter().try_for_each(|id| cluster.stop(id))?)
}

fn unwritten(folder: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    |source| store_failure(ArtifactError::Io { path: folder.to_owned(), source })
}

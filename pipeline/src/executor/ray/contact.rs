//! The cluster as a run asks it: again and again, over a restart of the dashboard.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::{Cluster, Listed, Submission};
use super::error::RayError;
use crate::executor::reporter::Reporter;
use crate::failure::{Failure, Kind};

/// The pauses before a request is made again: about two minutes together.
const PAUSES: [u64; 9] = [1, 2, 4, 8, 15, 20, 20, 25, 25];

/// The cluster as a run asks it.
pub(super) struct Contact<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) reporter: &'a Reporter<'a>,
    pub(super) stop: &'a AtomicBool,
}

impl Contact<'_> {
    /// Lists the jobs that the cluster remembers.
    pub(super) fn jobs(&self) -> Result<Vec<Listed>, Failure> {
        self.again(|| self.cluster.jobs())
    }

    /// Submits a job. Where an answer got lost on its way, the cluster knows the name.
    pub(super) fn submit(&self, job: &Submission) -> Result<(), Failure> {
        self.again(|| match self.cluster.submit(job) {
            Err(wrong) if wrong.is_there() => Ok(()),
            submitted => submitted,
        })
    }

    /// Makes a request until it is answered; the user may stop the wait.
    fn again<T>(&self, ask: impl Fn() -> Result<T, RayError>) -> Result<T, Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let wrong = match ask() {
                Err(wrong) if wrong.is_passing() => wrong,
                answer => return answer.map_err(Failure::from),
            };
            let Some(pause) = pauses.next() else {
                return Err(Failure::from(wrong).hinted(Some(
                    "the jobs continue on the cluster; the same command finds them there",
                )));
            };
            self.reporter.note(&format!("{wrong}; asking again in {pause} s"));
            self.pause(Duration::from_secs(pause))?;
        }
    }

    /// Waits, unless the user wants to stop.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::message(Kind::Interrupted, "interrupted"));
            }
            std::thread::sleep(Duration::from_millis(20).min(time));
        }
        Ok(())
    }

    /// Writes what a job has printed into a file, or why that is not known.
    pub(super) fn keep_log(&self, id: &str, path: &Path) {
        let text = match self.cluster.logs(id) {
            Ok(text) if text.trim().is_empty() => format!("job {id} has printed nothing\n"),
            Ok(text) => text,
            Err(wrong) => format!("the log of job {id} cannot be fetched: {wrong}\n"),
        };
        // The failure is reported all the same.
        drop(File::create(path).and_then(|mut file| file.write_all(text.as_bytes())));
    }
}

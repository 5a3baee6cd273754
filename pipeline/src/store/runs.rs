//! Records of runs: whose they are, and which of them nobody needs any more.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ratdata_schemas::{RunEvent, RunEventKind};
use rustix::fs::{FlockOperation, flock};

use super::{Store, names};

/// The name of a run's record of events.
pub(crate) const EVENTS: &str = "events.jsonl";

/// The name of the pipeline of a run, with all that it extends and what was set.
pub(crate) const RESOLVED: &str = "resolved.toml";

impl Store {
    /// Makes the folder of a new run, whose names sort by time.
    pub(crate) fn new_run(&self) -> io::Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let run = self.root.join("runs").join(format!("{now:014}-{}", std::process::id()));
        fs::create_dir_all(run.join("steps"))?;
        Ok(run)
    }

    /// Returns the folders of a pipeline's runs, the newest first.
    pub(crate) fn runs_of(&self, pipeline: &Path) -> Vec<PathBuf> {
        let own = |run: &PathBuf| pipeline_of(run).is_some_and(|of| Path::new(&of) == pipeline);
        self.runs().into_iter().filter(own).collect()
    }

    /// Returns the folders of runs that are over, that are not their pipeline's last, and whose
    /// every log has a newer one; of a pipeline that is not there any more, all of them.
    pub(crate) fn old_runs(&self, is_there: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
        let mut seen: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut old = Vec::new();
        for run in self.runs() {
            let own = pipeline_of(&run).filter(|pipeline| is_there(pipeline));
            let needed = own.is_some_and(|pipeline| {
                let last = !seen.contains_key(&pipeline);
                let logs = seen.entry(pipeline).or_default();
                let (names, before) = (names(&run), logs.len());
                logs.extend(names.iter().filter_map(|name| log_of(name)).map(String::from));
                last || logs.len() > before
            });
            if !needed && !is_live(&run) {
                old.push(run);
            }
        }
        old
    }

    fn runs(&self) -> Vec<PathBuf> {
        let runs = self.root.join("runs");
        names(&runs).into_iter().rev().map(|name| runs.join(name)).collect()
    }
}

/// Opens the record of a run, and locks it until the run ends.
pub(crate) fn record(run: &Path) -> io::Result<File> {
    let record = File::options().create(true).append(true).open(run.join(EVENTS))?;
    flock(&record, FlockOperation::NonBlockingLockExclusive)?;
    Ok(record)
}

fn is_live(run: &Path) -> bool {
    File::open(run.join(EVENTS)).is_ok_and(|record| {
        flock(&record, FlockOperation::NonBlockingLockShared)
            .is_err_and(|wrong| wrong == rustix::io::Errno::WOULDBLOCK)
    })
}

/// Returns the pipeline of a run, as its first event says.
fn pipeline_of(run: &Path) -> Option<String> {
    let mut line = String::new();
    BufReader::new(File::open(run.join(EVENTS)).ok()?).read_line(&mut line).ok()?;
    match serde_json::from_str::<RunEvent>(&line).ok()?.what {
        RunEventKind::RunStarted { pipeline, .. } => Some(pipeline),
        _ => None,
    }
}

/// Returns what stays the same in a log's name over all runs: all but the number of a cluster's job.
fn log_of(name: &str) -> Option<&str> {
    match name {
        EVENTS | RESOLVED | "steps" => None,
        name if name.starts_with("slurm-") && name.strip_suffix(".out").is_some() => {
            Some(name.rsplit_once('-').map_or(name, |(log, _)| log))
        }
        name => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(store: &Store, name: &str, pipeline: &str, logs: &[&str]) -> PathBuf {
        use std::io::Write;
        let run = store.root().join("runs").join(name);
        fs::create_dir_all(&run).unwrap();
        let started = format!(
            "{{\"time\":0,\"event\":\"run_started\",\"run\":\"\",\"pipeline\":\"{pipeline}\",\"store\":\"\",\"version\":\"\",\"steps\":1,\"stale\":1}}\n"
        );
        record(&run).unwrap().write_all(started.as_bytes()).unwrap();
        for log in logs {
            File::create(run.join(log)).unwrap();
        }
        run
    }

    #[test]
    fn a_run_is_old_once_each_of_its_logs_has_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let first = run(&store, "1", "p", &["a.log", "slurm-b-17_0.out"]);
        let gone = run(&store, "2", "gone", &["a.log"]);
        let second = run(&store, "3", "p", &["a.log"]);
        let third = run(&store, "4", "p", &["slurm-b-18.out"]);
        let other = run(&store, "5", "q", &["a.log"]);

        let old = store.old_runs(&|pipeline| pipeline != "gone");
        let live = record(&first).unwrap();

        assert_eq!(old, [gone.clone(), first]);
        assert_eq!(store.old_runs(&|pipeline| pipeline != "gone"), [gone]);
        assert_eq!(store.runs_of(Path::new("q")), [other]);
        assert!(second.exists() && third.exists());
        drop(live);
    }
}

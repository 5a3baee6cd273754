//! Pipelines on a real Slurm cluster, where one can be started; its results are the local ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A cluster that ends with the test.
struct Cluster {
    script: PathBuf,
    folder: TempDir,
}

impl Cluster {
    /// Starts the cluster of the shared tools, or says why there is none.
    fn start() -> Option<Self> {
        let shared = std::env::var_os("RATDATA_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
            PathBuf::from,
        );
        let script = shared.join("tools/slurm-cluster.sh");
        let there = |program: &str| Command::new(program).arg("-V").output().is_ok();
        if !script.is_file() || !there("slurmctld") || !there("sbatch") {
            eprintln!("skipped: no Slurm here, or no script that starts a cluster");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new(&script).arg("start").arg(folder.path()).output().unwrap();
        let cluster = Self { script, folder };
        if started.status.success() {
            return Some(cluster);
        }
        eprintln!("skipped: no cluster: {}", String::from_utf8_lossy(&started.stderr));
        None
    }

    fn command(&self, program: &str, arguments: &[&str], folder: &Path) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env("SLURM_CONF", self.folder.path().join("slurm.conf"))
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .unwrap()
    }

    /// Runs our program, which must succeed, and returns what it printed.
    fn ratdata(&self, arguments: &[&str], folder: &Path) -> String {
        let output = self.command(env!("CARGO_BIN_EXE_ratdata"), arguments, folder);
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {wrong}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the lines of the queue: number, task and state.
    fn queue(&self) -> Vec<(String, String, String)> {
        let format = ["--noheader", "--array", "--format=%A %K %T"];
        let output = self.command("squeue", &format, Path::new("/"));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?))
        };
        text.lines().filter_map(line).collect()
    }

    fn wait(&self, what: &str, mut until: impl FnMut(&[(String, String, String)]) -> bool) {
        let begun = Instant::now();
        loop {
            let queue = self.queue();
            if until(&queue) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_mins(4), "{what}: {queue:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        Command::new(&self.script).arg("stop").arg(self.folder.path()).status().unwrap();
    }
}

const PIPELINE: &str = r#"
[executor.slurm]
partition = "main"
cpus = 1
array = 3
setup = ["test -e fast || sleep 4"]

[executor.slurm.kinds.pack]
time = "00:05:00"
extra = ["--comment=rows"]

[steps.tokens]
kind = "tokenize"
tokenizer = "sample/tokenizer"
input = "sample/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128
"#;

/// The files of all results in a store, by their paths there.
fn results(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if folder == store && (name.starts_with('.') || name == "runs") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files
                    .insert(path.strip_prefix(store).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn write(path: &Path, content: &str) {
    use std::io::Write;
    fs::File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
}

/// Submits the pipeline and returns the numbers of its jobs: arrays and jobs after them.
fn submit(cluster: &Cluster, folder: &Path) -> Vec<(Option<u64>, u64)> {
    let run = ["run", "pipeline.toml", "--store", "store", "--executor", "slurm", "--json"];
    let text = cluster.ratdata(&run, folder);
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let submitted = events.filter(|event| event["event"] == "step_submitted");
    submitted.map(|event| (event["array"].as_u64(), event["job"].as_u64().unwrap())).collect()
}

/// One test, since all of it shares one cluster.
#[test]
fn a_cluster_makes_what_this_machine_makes() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cluster.ratdata(&["sample", "--out", "sample", "--quiet"], root);
    write(&root.join("pipeline.toml"), PIPELINE);
    cluster.ratdata(&["run", "pipeline.toml", "--store", "local", "--quiet"], root);

    let jobs = submit(&cluster, root);
    let again = submit(&cluster, root);
    let [(Some(array), gather), (None, packed)] = jobs[..] else { panic!("{jobs:?}") };
    assert!(again.is_empty(), "jobs that are in the queue were handed over again: {again:?}");
    let script = root.join("store/runs");
    let scripts: String =
        walk(&script).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(scripts.contains(&format!("--dependency=afterok:{gather}\n")), "{scripts}");
    assert!(scripts.contains("--array=0-2") && scripts.contains("--comment=rows"), "{scripts}");
    let status = cluster.ratdata(&["status", "pipeline.toml", "--store", "store"], root);
    assert!(status.contains("queued") || status.contains("running"), "{status}");

    // A task is killed and queued again, as when a node is lost.
    let mut task = String::new();
    cluster.wait("a task runs", |queue| {
        let running = queue.iter().find(|(_, task, state)| task != "N/A" && state == "RUNNING");
        running.map(|(job, ..)| task.clone_from(job)).is_some()
    });
    let requeued = cluster.command("scontrol", &["requeue", &task], root);
    assert!(requeued.status.success(), "{}", String::from_utf8_lossy(&requeued.stderr));
    // Slurm lets a job that was queued again begin only after a while.
    cluster.wait("the pipeline is done", |queue| {
        for (job, ..) in queue.iter().filter(|(.., state)| state == "PENDING") {
            let update = format!("JobId={job}");
            cluster.command("scontrol", &["update", &update, "StartTime=now"], root);
        }
        queue.is_empty()
    });
    let status = cluster.ratdata(&["status", "pipeline.toml", "--store", "store"], root);
    assert!(status.contains("2 of 2 steps are done"), "{status}");
    assert!(results(&root.join("local")) == results(&root.join("store")), "{array} {packed}");
    let log = cluster.ratdata(&["logs", "packed", "--store", "store"], root);
    assert!(log.contains("ratdata pack"), "{log}");

    // What was cancelled is handed over again, and what was done is not.
    fs::remove_dir_all(root.join("store")).unwrap();
    submit(&cluster, root);
    let cancelled = cluster.ratdata(&["cancel", "pipeline.toml", "--store", "store"], root);
    assert!(cancelled.starts_with("cancelled 5 tasks of packed, tokens"), "{cancelled}");
    cluster.wait("the queue is empty", <[_]>::is_empty);
    write(&root.join("fast"), "");
    cluster.ratdata(&["run", "pipeline.toml", "tokens", "--store", "store", "--quiet"], root);
    let jobs = submit(&cluster, root);
    assert!(matches!(jobs[..], [(None, _)]), "{jobs:?}");
    cluster.wait("the rest is done", <[_]>::is_empty);
    assert!(results(&root.join("local")) == results(&root.join("store")));
}

/// The scripts of all runs in a store.
fn walk(runs: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(runs).unwrap().flatten();
    let files = runs.flat_map(|run| fs::read_dir(run.path()).unwrap().flatten());
    files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "sh"))
        .collect()
}

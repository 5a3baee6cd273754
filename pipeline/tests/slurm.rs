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

    /// Returns the jobs and tasks in the queue.
    fn queue(&self) -> Vec<Queued> {
        let format = ["--noheader", "--array", "--format=%A %K %T %j"];
        let output = self.command("squeue", &format, Path::new("/"));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (id, task) = (words.next()?, words.next()?);
            Some(Queued { id, is_task: task != "N/A", state: words.next()?, name: words.next()? })
        };
        text.lines().filter_map(line).collect()
    }

    /// Waits for something; Slurm lets a job that was queued again begin only after a while, which
    /// is cut short.
    fn wait(&self, what: &str, mut until: impl FnMut(&[Queued]) -> bool) {
        let begun = Instant::now();
        loop {
            let queue = self.queue();
            if until(&queue) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_mins(4), "{what}: {queue:?}");
            for job in queue.iter().filter(|job| job.state == "PENDING") {
                let update = format!("JobId={}", job.id);
                self.command("scontrol", &["update", &update, "StartTime=now"], Path::new("/"));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// A line of the queue.
#[derive(Debug)]
struct Queued {
    id: String,
    is_task: bool,
    state: String,
    name: String,
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

[steps.rows]
kind = "sft"
task_file = "task.toml"
tokenizer = "sample/tokenizer"
max_length = 64

[steps.verified]
kind = "verify"
path = "@tokens"
retokenize = 0.1
input = "sample/corpus"
tokenizer = "sample/tokenizer"
"#;

const TASK: &str = r#"
prompt = "Question: {q}\n\nAnswer:"
[splits.train]
source = "data.jsonl"
answers = ["a"]
shuffle = 7
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

/// Submits the pipeline and returns the numbers of each step's array, where it has one, and of the
/// job that makes its result.
fn submit(cluster: &Cluster, folder: &Path) -> BTreeMap<String, (Option<u64>, u64)> {
    let run = ["run", "pipeline.toml", "--store", "store", "--executor", "slurm", "--json"];
    let text = cluster.ratdata(&run, folder);
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let submitted = events.filter(|event| event["event"] == "step_submitted");
    let jobs = |event: &Value| (event["array"].as_u64(), event["job"].as_u64().unwrap());
    submitted.map(|event| (event["step"].as_str().unwrap().to_owned(), jobs(&event))).collect()
}

/// One test, since all of it shares one cluster.
#[test]
fn a_cluster_makes_what_this_machine_makes() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cluster.ratdata(&["sample", "--out", "sample", "--quiet"], root);
    write(&root.join("pipeline.toml"), PIPELINE);
    write(&root.join("task.toml"), TASK);
    let row = |row: usize| format!("{{\"q\": \"what is {row}?\", \"a\": \"it is {row}\"}}\n");
    write(&root.join("data.jsonl"), &(0..900).map(row).collect::<String>());
    cluster.ratdata(&["run", "pipeline.toml", "--store", "local", "--quiet"], root);

    what_is_handed_over(&cluster, root);
    tasks_are_killed_and_queued_again(&cluster, root);
    what_was_cancelled_continues(&cluster, root);
}

fn what_is_handed_over(cluster: &Cluster, root: &Path) {
    let jobs = submit(cluster, root);
    let again = submit(cluster, root);

    assert!(again.is_empty(), "jobs that are in the queue were handed over again: {again:?}");
    let arrays = |step: &str| jobs[step].0.is_some();
    assert!(arrays("tokens") && arrays("rows") && arrays("verified"), "{jobs:?}");
    assert!(!arrays("packed"), "{jobs:?}");
    let script = |name: &str| scripts(&root.join("store/runs"), name);
    let tokens = format!("--dependency=afterok:{}\n", jobs["tokens"].1);
    assert!(script("slurm-packed-job.sh").contains(&tokens), "{}", script("slurm-packed-job.sh"));
    assert!(script("slurm-packed-job.sh").contains("--comment=rows"));
    assert!(script("slurm-verified-array.sh").contains(&tokens));
    for step in ["tokens", "rows", "verified"] {
        let after = format!("--dependency=afterok:{}\n", jobs[step].0.unwrap());
        assert!(script(&format!("slurm-{step}-job.sh")).contains(&after), "{step}");
        assert!(script(&format!("slurm-{step}-array.sh")).contains("--array=0-"), "{step}");
    }
    let status = cluster.ratdata(&["status", "pipeline.toml", "--store", "store"], root);
    assert!(status.contains("queued") || status.contains("running"), "{status}");
}

/// A task of each array is killed and queued again, as when a node is lost.
fn tasks_are_killed_and_queued_again(cluster: &Cluster, root: &Path) {
    for step in ["tokens", "rows", "verified"] {
        let mut task = String::new();
        cluster.wait(&format!("a task of {step} runs"), |queue| {
            let name = format!("-{step}-");
            let running = queue
                .iter()
                .find(|job| job.is_task && job.name.contains(&name) && job.state == "RUNNING");
            running.map(|job| task.clone_from(&job.id)).is_some()
        });
        let requeued = cluster.command("scontrol", &["requeue", &task], root);
        assert!(requeued.status.success(), "{}", String::from_utf8_lossy(&requeued.stderr));
    }
    cluster.wait("the pipeline is done", <[_]>::is_empty);

    let status = cluster.ratdata(&["status", "pipeline.toml", "--store", "store"], root);
    assert!(status.contains("4 of 4 steps are done"), "{status}");
    assert!(results(&root.join("local")) == results(&root.join("store")));
    for (step, says) in [("packed", "ratdata pack"), ("rows", "--shard=2/3"), ("verified", "0/3")] {
        let log = cluster.ratdata(&["logs", step, "--store", "store"], root);
        assert!(log.contains(says), "{step}: {log}");
    }
}

/// What was cancelled is handed over again, and what was done is not.
fn what_was_cancelled_continues(cluster: &Cluster, root: &Path) {
    fs::remove_dir_all(root.join("store")).unwrap();
    submit(cluster, root);
    let one = cluster.ratdata(&["cancel", "pipeline.toml", "rows", "--store", "store"], root);
    let all = cluster.ratdata(&["cancel", "pipeline.toml", "--store", "store"], root);
    cluster.wait("the queue is empty", <[_]>::is_empty);
    write(&root.join("fast"), "");
    let run = ["run", "pipeline.toml", "--store", "store", "--quiet"];
    cluster.ratdata(&[&run[..], &["tokens"]].concat(), root);
    cluster.ratdata(&[&run[..], &["rows", "--shard", "1/3"]].concat(), root);

    let jobs = submit(cluster, root);
    cluster.wait("the rest is done", <[_]>::is_empty);

    assert!(one.starts_with("cancelled 4 tasks of rows"), "{one}");
    assert!(all.starts_with("cancelled") && all.contains("packed"), "{all}");
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["packed", "rows", "verified"]);
    let array = scripts(&root.join("store/runs"), "slurm-rows-array.sh");
    assert!(array.contains("--array=0,2\n"), "{array}");
    assert!(results(&root.join("local")) == results(&root.join("store")));
}

/// The scripts of one name in all runs of a store, the newest last.
fn scripts(runs: &Path, name: &str) -> String {
    let mut runs: Vec<_> = fs::read_dir(runs).unwrap().flatten().map(|run| run.path()).collect();
    runs.sort();
    let texts = runs.iter().filter_map(|run| fs::read_to_string(run.join(name)).ok());
    texts.collect()
}

//! A run on a Ray cluster makes what this machine makes, over kills and lost nodes, and each failure is told.
//!
//! The cluster is a small server of the job API. `scripts/check_ray.py` runs the same on a real one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use ratdata_schemas::RunEventKind;
use ratdata_tests::program::{command, stderr, succeed};
use tempfile::TempDir;

use super::small_ray::{Fault, SmallRay};
use super::support::{events, made, results, workshop};

const PIPELINE: &str = r#"
[executor.ray]
array = 3
mem = "1GB"
setup = ["export RATDATA_TRIED=yes"]

[executor.ray.kinds.pack]
cpus = 2
gpus = 0.5
resources = { nvme = 1 }

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

/// A step that fails, one that takes it, one that needs neither, and one that takes long.
const STEPS: &str = r#"
[steps.bad]
kind = "command"
program = ["sh", "-c", "echo this is broken >&2; exit 3"]

[steps.after]
kind = "command"
program = ["cp", "@bad/x", "@out/x"]

[steps.good]
kind = "command"
program = ["sh", "-c", "echo 1 > $RATDATA_OUT/x"]

[steps.long]
kind = "command"
program = ["sleep", "100"]

[steps.longer]
kind = "command"
program = ["sleep", "101"]
"#;

/// The program on a cluster: it has no variable of a cluster of this machine.
fn on(cluster: &str, root: &Path, arguments: &[&str]) -> Command {
    let ray = ["--executor", "ray", "--ray-address", cluster];
    let mut command = command(root, &[&["run", "pipeline.toml"], &ray[..], arguments].concat());
    for name in ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_JOB_HEADERS"] {
        command.env_remove(name);
    }
    command
}

fn run(cluster: &str, root: &Path, arguments: &[&str]) -> Output {
    on(cluster, root, arguments).output().unwrap()
}

fn spawn(cluster: &str, root: &Path, arguments: &[&str]) -> Child {
    let mut command = on(cluster, root, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A workshop whose pipeline has been run on this machine, with the result in the store `local`.
fn made_locally() -> TempDir {
    let folder = workshop(PIPELINE);
    succeed(folder.path(), &["run", "pipeline.toml", "--store", "local", "--quiet"]);
    folder
}

/// The shares and results that a run submitted, by their steps.
fn submitted(told: &str) -> Vec<(String, Option<String>)> {
    let submitted = events(told).into_iter().filter_map(|event| match event {
        RunEventKind::JobSubmitted { step, share, .. } => Some((step, share)),
        _ => None,
    });
    submitted.collect()
}

#[test]
fn a_cluster_makes_what_this_machine_makes_and_is_told_what_a_step_needs() {
    let folder = made_locally();
    let root = folder.path();
    let ray = SmallRay::start(root, Fault::None, usize::MAX / 2);

    let output = run(&ray.address, root, &["--store", "store", "--json"]);
    let again = run(&ray.address, root, &["--store", "store", "--json"]);
    let status = succeed(root, &["status", "pipeline.toml", "--store", "store"]);

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(results(&root.join("local")) == results(&root.join("store")));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(made(&told), ["packed", "tokens"]);
    let share = |number: &str| ("tokens".to_owned(), Some(format!("{number}/3")));
    let result = |step: &str| (step.to_owned(), None);
    let expected = [share("0"), share("1"), share("2"), result("tokens"), result("packed")];
    assert_eq!(submitted(&told), expected);
    assert_eq!(submitted(&String::from_utf8(again.stdout).unwrap()), []);
    assert!(status.contains("2 of 2 steps are done"), "{status}");
    let asked = ray.asked();
    let of = |begin: &str| asked.iter().find(|(id, _)| id.starts_with(begin)).unwrap().1;
    let (tokens, packed) = (of("ratdata-tokens-"), of("ratdata-packed-"));
    assert_eq!(tokens["entrypoint_num_cpus"], 1);
    assert_eq!(tokens["entrypoint_memory"], 1 << 30);
    assert!(tokens.get("entrypoint_num_gpus").is_none());
    assert_eq!(packed["entrypoint_num_gpus"], 0.5);
    assert_eq!(packed["entrypoint_resources"]["nvme"], 1.0);
    let entrypoint = packed["entrypoint"].as_str().unwrap();
    assert!(entrypoint.contains("export RATDATA_TRIED=yes\nexec "), "{entrypoint}");
    assert!(entrypoint.contains("'--num-proc=2'"), "{entrypoint}");
}

#[test]
fn a_run_that_was_killed_finds_its_jobs_and_no_share_runs_twice() {
    let folder = made_locally();
    let root = folder.path();
    let ray = SmallRay::start(root, Fault::None, 1);
    let mut first = spawn(&ray.address, root, &["--store", "store"]);
    ray.wait("SUCCEEDED", 1);
    ray.wait("PENDING", 2);
    first.kill().unwrap();
    first.wait().unwrap();
    let status = succeed(root, &["status", "pipeline.toml", "--store", "store"]);

    let second = on(&ray.address, root, &["--store", "store", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ray.allow(100);
    let output = second.wait_with_output().unwrap();

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(status.contains("1 shares done, 2 jobs pending"), "{status}");
    assert!(stderr(&output).contains("tokens: 2 jobs of an earlier run continue"));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(submitted(&told), [("tokens".to_owned(), None), ("packed".to_owned(), None)]);
    assert!(results(&root.join("local")) == results(&root.join("store")));
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    for asked in ray.asked().values() {
        let share = asked["metadata"]["ratdata.share"].as_str().unwrap();
        *shares.entry(share.to_owned()).or_default() += 1;
    }
    let expected = [("", 2), ("0/3", 1), ("1/3", 1), ("2/3", 1)];
    assert_eq!(shares, expected.map(|(share, count)| (share.to_owned(), count)).into());
}

#[test]
fn a_step_that_fails_is_told_with_what_it_said_and_others_are_made() {
    let folder = workshop(STEPS);
    let root = folder.path();
    let ray = SmallRay::start(root, Fault::None, 100);

    let output = run(&ray.address, root, &["after", "good"]);
    let status = ratdata_tests::program::run(root, &["status", "pipeline.toml", "after", "good"]);
    let log = succeed(root, &["logs", "bad", "--paths"]);

    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("bad: failed: job ratdata-bad-"), "{told}");
    assert!(told.contains("exit status: 1; read "), "{told}");
    assert!(told.contains("this is broken"), "{told}");
    assert!(told.contains("after: not run, since `bad` failed"), "{told}");
    assert!(told.contains("good: done"), "{told}");
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("exit status: 1; see "), "{status}");
    assert!(log.contains("bad.log"), "{log}");
}

#[test]
fn a_job_that_the_cluster_loses_is_submitted_again() {
    for (fault, says) in [
        (Fault::LosesOne, "JOB_SUPERVISOR_ACTOR_DIED"),
        (Fault::NoRoomForOne, "no room for it in time"),
        (Fault::BusyOnce, "503 Service Unavailable: starting; asking again"),
        (Fault::DropsAnswer, "does not answer"),
    ] {
        let folder = workshop(STEPS);
        let root = folder.path();
        let ray = SmallRay::start(root, fault, 100);

        let output = run(&ray.address, root, &["good"]);

        let told = stderr(&output);
        assert!(output.status.success(), "{told}");
        assert!(told.contains(says), "{told}");
        let again = matches!(fault, Fault::LosesOne | Fault::NoRoomForOne);
        let expected: &[_] = if again { &["FAILED", "SUCCEEDED"] } else { &["SUCCEEDED"] };
        assert_eq!(ray.statuses(), expected);
    }
}

#[test]
fn ctrl_c_stops_the_jobs_and_so_does_cancel() {
    let folder = workshop(STEPS);
    let root = folder.path();
    let ray = SmallRay::start(root, Fault::None, 1);
    let stopped = |run: Child, says: &str| {
        let output = run.wait_with_output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(130), "{told}");
        assert!(told.contains(says), "{told}");
    };

    let first = spawn(&ray.address, root, &["long", "longer"]);
    ray.wait("RUNNING", 1);
    ray.wait("PENDING", 1);
    Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap();
    stopped(first, "long: stopped");
    assert_eq!(ray.statuses().iter().filter(|status| **status == "STOPPED").count(), 1);

    // A job that waited for room is asked to end, too: the next run does not wait for it.
    ray.allow(1);
    let second = spawn(&ray.address, root, &["long"]);
    ray.wait("RUNNING", 1);
    let cancelled = succeed(root, &["cancel", "pipeline.toml", "long"]);
    stopped(second, "long: stopped");
    let none = succeed(root, &["cancel", "pipeline.toml"]);

    assert_eq!(cancelled.trim(), "cancelled 1 tasks of long");
    assert!(none.starts_with("no job of this pipeline"), "{none}");
}

#[test]
fn a_cluster_that_is_none_is_told_with_its_address() {
    let folder = workshop(STEPS);
    let root = folder.path();
    let page = SmallRay::start(root, Fault::Page, 0);
    let refuses = SmallRay::start(root, Fault::Refuses, 0);
    let mut wrong_variable = command(root, &["run", "pipeline.toml", "good", "--executor", "ray"]);
    wrong_variable.env("RAY_ADDRESS", "10.0.0.1:6379").env_remove("RAY_API_SERVER_ADDRESS");
    let nobody = "http://127.0.0.1:9";
    let cases = [
        (run(nobody, root, &["good"]), 1, "http://127.0.0.1:9: Ray's job API does not answer"),
        (run(&page.address, root, &["good"]), 1, "found `<html> <title>A page</title> </html>`"),
        (run(&refuses.address, root, &["good"]), 1, "400 Bad Request: ValueError: no jobs today"),
        (run("head:6379", root, &["good"]), 2, "--ray-address: found `head:6379`"),
        (wrong_variable.output().unwrap(), 2, "RAY_ADDRESS: found `10.0.0.1:6379`"),
        (
            ratdata_tests::program::run(root, &["run", "--ray-address", nobody]),
            2,
            "`--ray-address` is for `--executor ray`",
        ),
    ];

    for (output, status, says) in cases {
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{told}");
        assert!(told.contains(says), "{told}");
    }
}

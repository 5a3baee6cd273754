//! What a kill, an interrupt, a failure and a second run leave, and what comes of it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ratdata_schemas::{RunEventKind, RunOutcome};

use super::support::{BRANCHES, events, results, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::{command, run, spawn, succeed};

#[test]
fn a_run_killed_at_any_moment_continues_to_the_same_bytes() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    fs::copy(root.join("sample/questions/task.toml"), root.join("task.toml")).unwrap();
    let begun = Instant::now();
    succeed(root, &["run", "pipeline.toml", "--store", "whole", "--quiet"]);
    let took = begun.elapsed();
    let whole = results(&root.join("whole"));
    let mut kills = 0;

    for round in 0..8_u32 {
        let store = format!("killed-{round}");
        for attempt in 1..4_u32 {
            let mut run = spawn(root, &["run", "pipeline.toml", "--store", &store, "--quiet"]);
            // Later and later, so that every step of a run is met.
            std::thread::sleep(took * (round + attempt) / 11);
            kills += u32::from(run.try_wait().unwrap().is_none());
            if attempt % 2 == 0 {
                kill_steps(root, &store);
            }
            run.kill().unwrap();
            run.wait().unwrap();
        }
        succeed(root, &["run", "pipeline.toml", "--store", &store, "--quiet"]);

        assert!(results(&root.join(&store)) == whole, "round {round} differs");
    }
    assert!(kills > 8, "only {kills} runs were killed before they ended");
}

/// Kills the processes of a store's steps, which name it in their arguments.
fn kill_steps(root: &Path, store: &str) {
    let staging = root.join(store).join(".staging-");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
        if String::from_utf8_lossy(&words).contains(&staging.display().to_string()) {
            let process = entry.file_name().to_string_lossy().into_owned();
            Command::new("kill").args(["-9", &process]).stderr(Stdio::null()).status().unwrap();
        }
    }
}

#[test]
fn two_runs_at_the_same_time_make_each_result_once() {
    let pipeline = r#"
[steps.slow]
kind = "command"
program = ["sh", "-c", "echo x >> count; sleep 1; echo made > $RATDATA_OUT/file"]
outputs = ["file"]
"#;
    let folder = workshop(pipeline);
    let root = folder.path();

    let mut runs: Vec<Child> =
        (0..3).map(|_| spawn(root, &["run", "pipeline.toml", "--quiet"])).collect();
    let ended: Vec<bool> = runs.iter_mut().map(|run| run.wait().unwrap().success()).collect();

    assert_eq!(ended, [true; 3]);
    assert_eq!(fs::read_to_string(root.join("count")).unwrap(), "x\n");
}

#[test]
fn an_interrupted_run_ends_cleanly_and_the_next_continues() {
    let pipeline = r#"
[steps.first]
kind = "command"
program = ["sh", "-c", "echo x >> first; echo 1 > $RATDATA_OUT/file"]
outputs = ["file"]

[steps.second]
kind = "command"
program = ["sh", "-c", "test -e go || { touch waits; sleep 60; }; cp $0 $RATDATA_OUT/file", "@first/file"]
outputs = ["file"]
"#;
    let folder = workshop(pipeline);
    let root = folder.path();
    let run = command(root, &["run", "pipeline.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    while !root.join("waits").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }

    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let begun = Instant::now();
    let ended = run.wait_with_output().unwrap();
    let status = succeed(root, &["status", "pipeline.toml"]);
    write(&root.join("go"), "");
    succeed(root, &["run", "pipeline.toml"]);

    let text = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(text.contains("what was done is kept"), "{text}");
    assert!(status.contains("1 of 2 steps are done"), "{status}");
    assert_eq!(fs::read_to_string(root.join("first")).unwrap(), "x\n");
}

#[test]
fn a_failed_step_keeps_its_log_and_the_others_finish() {
    let pipeline = r#"
[steps.bad]
kind = "command"
program = ["sh", "-c", "echo something went wrong >&2; exit 7"]

[steps.after]
kind = "command"
program = ["true"]
inputs = ["@bad"]

[steps.good]
kind = "command"
program = ["sh", "-c", "sleep 0.3; echo 1 > $RATDATA_OUT/file"]
outputs = ["file"]
publish = "good"
"#;
    let folder = workshop(pipeline);
    let root = folder.path();

    let output = run(root, &["run", "pipeline.toml", "--json"]);
    let logs = succeed(root, &["logs", "bad"]);
    let path = succeed(root, &["logs", "pipeline.toml", "bad", "--paths"]);
    let status = succeed(root, &["status", "pipeline.toml"]);
    let none = run(root, &["logs", "after"]);

    assert_eq!(output.status.code(), Some(1));
    let events = events(&String::from_utf8(output.stdout).unwrap());
    assert!(matches!(&events[0], RunEventKind::RunStarted { steps: 3, stale: 3, .. }));
    assert!(events.iter().any(|event| matches!(event,
        RunEventKind::StepSkipped { step, because } if step == "after" && because == "bad")));
    assert!(matches!(
        events.last(),
        Some(RunEventKind::RunFinished {
            outcome: RunOutcome::Failed,
            made: 1,
            failed: 1,
            skipped: 1,
            ..
        })
    ));
    assert!(logs.contains("something went wrong"), "{logs}");
    assert!(Path::new(path.trim()).is_file(), "{path}");
    assert!(status.contains("failed") && status.contains("good"), "{status}");
    assert_eq!(fs::read_to_string(root.join("good/file")).unwrap(), "1\n");
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn shares_of_a_step_are_gathered_to_the_same_bytes() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    fs::copy(root.join("sample/questions/task.toml"), root.join("task.toml")).unwrap();
    succeed(root, &["run", "pipeline.toml", "tokens", "--store", "whole", "--quiet"]);

    for share in ["2/3", "0/3", "1/3"] {
        let store = ["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet", "--shard"];
        succeed(root, &[&store[..], &[share]].concat());
    }
    let scheduled = command(
        root,
        &["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet", "--shard", "auto/3"],
    )
    .env("JOB_COMPLETION_INDEX", "1")
    .status()
    .unwrap();
    let before = succeed(root, &["status", "pipeline.toml", "tokens", "--store", "shared"]);
    succeed(root, &["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet"]);

    assert!(scheduled.success());
    assert!(before.contains("3 shares done"), "{before}");
    assert!(results(&root.join("whole")) == results(&root.join("shared")));
}

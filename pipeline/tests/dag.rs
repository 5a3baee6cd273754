//! Pipelines: what is stale and why, what a kill leaves, and one clear error for each mistake.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ratdata_schemas::{Happening, RunEvent, RunOutcome};
use serde_json::Value;
use tempfile::TempDir;

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
    command.args(arguments).current_dir(folder).env("HF_HUB_OFFLINE", "1");
    command
}

fn ratdata(arguments: &[&str], folder: &Path) -> Output {
    command(arguments, folder).output().unwrap()
}

/// Runs a command that must succeed and returns what it printed.
fn said(arguments: &[&str], folder: &Path) -> String {
    let output = ratdata(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn write(path: &Path, content: &str) {
    use std::io::Write;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
}

/// Everything that the tests' pipelines take: the sample, laid out beside `pipeline.toml`.
fn workshop(pipeline: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    said(&["sample", "--out", "sample", "--quiet"], folder.path());
    write(&folder.path().join("pipeline.toml"), pipeline);
    folder
}

/// Two branches over one tokenizer: bins with packed rows, and instruction rows.
const BRANCHES: &str = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "sample/tokenizer"
input = "sample/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128

[steps.questions]
kind = "sft"
task_file = "task.toml"
input = "sample/questions"
tokenizer = "sample/tokenizer"
max_length = 256

[steps.merged]
kind = "merge"
input = "@tokens"
"#;

fn states(folder: &Path, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let arguments = [&["plan", "pipeline.toml", "--json"], more].concat();
    let plan: Value = serde_json::from_str(&said(&arguments, folder)).unwrap();
    let step = |step: &Value| {
        let text = |key: &str| step[key].as_str().unwrap().to_owned();
        let why: Vec<&str> =
            step["why"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        (text("name"), (text("state"), why.join("; ")))
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

fn events(text: &str) -> Vec<Happening> {
    text.lines().map(|line| serde_json::from_str::<RunEvent>(line).unwrap().what).collect()
}

fn made(text: &str) -> Vec<String> {
    let mut made: Vec<String> = events(text)
        .into_iter()
        .filter_map(|event| match event {
            Happening::StepFinished { step, .. } => Some(step),
            _ => None,
        })
        .collect();
    made.sort();
    made
}

/// The files of all results in a store, by their paths there.
fn results(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            !name.starts_with('.') && name != "runs"
        })
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
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

#[test]
fn a_changed_template_makes_its_branch_anew_and_nothing_else() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    let task = fs::read_to_string(root.join("sample/questions/task.toml")).unwrap();
    write(&root.join("task.toml"), &task);
    let first = said(&["run", "pipeline.toml", "--json"], root);
    let again = said(&["run", "pipeline.toml", "--json"], root);

    write(&root.join("task.toml"), &task.replace("Answer:", "Reply:"));
    let plan = states(root, &[]);
    let check = ratdata(&["plan", "pipeline.toml", "--check"], root);
    let changed = said(&["run", "pipeline.toml", "--json"], root);

    assert_eq!(made(&first), ["merged", "packed", "questions", "tokens"]);
    assert_eq!(made(&again), Vec::<String>::new());
    assert_eq!(plan["tokens"].0, "fresh");
    assert_eq!(plan["packed"].0, "fresh");
    assert_eq!(plan["questions"].0, "stale");
    assert!(plan["questions"].1.contains("task.toml"), "{}", plan["questions"].1);
    assert_eq!(check.status.code(), Some(4));
    assert_eq!(made(&changed), ["questions"]);
}

#[test]
fn a_changed_value_is_told_with_the_old_and_the_new() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    said(&["run", "pipeline.toml", "packed", "merged", "--quiet"], root);

    let other = states(root, &["packed", "--set", "steps.packed.seq_len=64"]);
    let knob = states(root, &["packed", "--set", "steps.tokens.num_proc=1"]);
    let source = states(root, &["merged", "--set", "steps.tokens.val_fraction=0.1"]);

    assert!(other["packed"].1.contains("128 -> 64"), "{}", other["packed"].1);
    assert_eq!(other["tokens"].0, "fresh");
    assert_eq!((knob["packed"].0.as_str(), knob["tokens"].0.as_str()), ("fresh", "fresh"));
    assert!(source["merged"].1.contains("tokens"), "{}", source["merged"].1);
}

#[test]
fn each_mistake_is_one_error_that_names_its_line() {
    let folder = workshop("");
    let root = folder.path();
    let a = "[steps.a]\nkind = \"command\"\nprogram = [\"true\"]\n";
    let cases = [
        // The pipeline, the line that is named, what is said, and the hint.
        ("[step.a]\n".to_owned(), ":1", "unknown key `step`", "steps"),
        (format!("{a}outputz = [\"x\"]\n"), ":4", "unknown key `outputz`", "`outputs`"),
        ("[steps.a]\nkind = \"tokenise\"\n".into(), ":2", "unknown kind `tokenise`", "`tokenize`"),
        (
            format!(
                "{a}inputs = [\"@b\"]\n[steps.b]\nkind = \"command\"\nprogram = [\"true\"]\ninputs = [\"@a\"]\n"
            ),
            ":1",
            "steps need each other: a -> b -> a",
            "take one",
        ),
        (format!("{a}inputs = [\"nowhere.txt\"]\n"), ":4", "takes `", "relative to"),
        (format!("{a}inputs = [\"@aa\"]\n"), ":4", "`@aa`", "`a`"),
        (
            format!(
                "{a}publish = \"out\"\n[steps.b]\nkind = \"command\"\nprogram = [\"true\"]\npublish = \"./out\"\n"
            ),
            ":8",
            "steps `a` and `b` both write",
            "another path",
        ),
        (
            "[steps.a]\nkind = \"pack\"\ninput = \"sample\"\nseq_len = \"many\"\n".into(),
            ":4",
            "`seq_len`",
            "",
        ),
        ("[steps.a]\nkind = \"pack\"\nseq_len = 8\n".into(), "", "input", ""),
        ("[steps.a\n".into(), ":1", "", ""),
    ];

    for (text, line, what, hint) in cases {
        write(&root.join("pipeline.toml"), &text);
        let output = ratdata(&["run", "pipeline.toml"], root);
        let said = String::from_utf8(output.stderr).unwrap();

        assert_eq!(output.status.code(), Some(2), "{text}\n{said}");
        let first = said.lines().next().unwrap();
        assert!(first.contains(&format!("pipeline.toml{line}")), "{text}\n{said}");
        assert!(first.contains(what), "{text}\n{said}");
        assert!(said.contains(hint), "{text}\n{said}");
        assert_eq!(said.matches("error").count(), 1, "{text}\n{said}");
    }
    let nowhere = ratdata(&["run", "nowhere.toml"], root);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("tiny"));
}

/// Waits until no process holds a lock of the store: steps outlive a run that was killed.
fn wait_for_steps(root: &Path) {
    let begun = Instant::now();
    while said(&["status", "pipeline.toml", "--json"], root).contains("\"running\"") {
        assert!(begun.elapsed() < Duration::from_mins(1), "a step did not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    fs::copy(root.join("sample/questions/task.toml"), root.join("task.toml")).unwrap();
    let begun = Instant::now();
    said(&["run", "pipeline.toml", "--store", "whole", "--quiet"], root);
    let took = begun.elapsed();
    let whole = results(&root.join("whole"));
    let mut kills = 0;

    for round in 0..8_u32 {
        let store = format!("killed-{round}");
        for attempt in 1..4_u32 {
            let mut run = spawn(&["run", "pipeline.toml", "--store", &store, "--quiet"], root);
            // Later and later, so that every step of a run is met.
            std::thread::sleep(took * (round + attempt) / 11);
            kills += u32::from(run.try_wait().unwrap().is_none());
            if attempt % 2 == 0 {
                kill_steps(root, &store);
            }
            run.kill().unwrap();
            run.wait().unwrap();
        }
        said(&["run", "pipeline.toml", "--store", &store, "--quiet"], root);

        assert!(results(&root.join(&store)) == whole, "round {round} differs");
    }
    assert!(kills > 8, "only {kills} runs were killed before they ended");
}

fn spawn(arguments: &[&str], folder: &Path) -> Child {
    command(arguments, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
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
        (0..3).map(|_| spawn(&["run", "pipeline.toml", "--quiet"], root)).collect();
    let ended: Vec<bool> = runs.iter_mut().map(|run| run.wait().unwrap().success()).collect();

    assert_eq!(ended, [true; 3]);
    assert_eq!(fs::read_to_string(root.join("count")).unwrap(), "x\n");
}

#[test]
fn an_interrupted_run_ends_cleanly_and_the_next_goes_on() {
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
    let run = command(&["run", "pipeline.toml"], root).stderr(Stdio::piped()).spawn().unwrap();
    while !root.join("waits").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }

    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let begun = Instant::now();
    let ended = run.wait_with_output().unwrap();
    let status = said(&["status", "pipeline.toml"], root);
    write(&root.join("go"), "");
    said(&["run", "pipeline.toml"], root);

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

    let output = ratdata(&["run", "pipeline.toml", "--json"], root);
    let logs = said(&["logs", "bad"], root);
    let path = said(&["logs", "pipeline.toml", "bad", "--paths"], root);
    let status = said(&["status", "pipeline.toml"], root);
    let none = ratdata(&["logs", "after"], root);

    assert_eq!(output.status.code(), Some(1));
    let events = events(&String::from_utf8(output.stdout).unwrap());
    assert!(matches!(&events[0], Happening::RunStarted { steps: 3, stale: 3, .. }));
    assert!(events.iter().any(|event| matches!(event,
        Happening::StepSkipped { step, because } if step == "after" && because == "bad")));
    assert!(matches!(
        events.last(),
        Some(Happening::RunFinished {
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
    said(&["run", "pipeline.toml", "tokens", "--store", "whole", "--quiet"], root);

    for share in ["2/3", "0/3", "1/3"] {
        let store = ["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet", "--shard"];
        said(&[&store[..], &[share]].concat(), root);
    }
    let scheduled = command(
        &["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet", "--shard", "auto/3"],
        root,
    )
    .env("JOB_COMPLETION_INDEX", "1")
    .status()
    .unwrap();
    let before = said(&["status", "pipeline.toml", "tokens", "--store", "shared"], root);
    said(&["run", "pipeline.toml", "tokens", "--store", "shared", "--quiet"], root);

    assert!(scheduled.success());
    assert!(before.contains("3 shares done"), "{before}");
    assert!(results(&root.join("whole")) == results(&root.join("shared")));
}

#[test]
fn clean_shows_what_no_pipeline_refers_to_and_removes_it_when_told() {
    let step = |text: &str| {
        format!(
            "[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"-c\", \"echo {text} > $RATDATA_OUT/f\"]\n"
        )
    };
    let folder = workshop(&step("one"));
    let root = folder.path();
    said(&["run", "--quiet"], root);
    write(&root.join("pipeline.toml"), &step("two"));
    said(&["run", "--quiet"], root);

    let shown = said(&["clean"], root);
    let kept = results(&root.join(".ratdata/store")).len();
    let removed = said(&["clean", "--yes"], root);
    let left = results(&root.join(".ratdata/store"));
    let again = said(&["clean", "--yes"], root);

    assert!(shown.contains("command-a-") && shown.contains("`--yes`"), "{shown}");
    assert_eq!(kept, 2);
    assert!(removed.contains("removed"), "{removed}");
    assert_eq!(left.into_values().collect::<Vec<_>>(), [b"two\n".to_vec()]);
    assert!(again.contains("nothing to remove"), "{again}");
}

#[test]
fn merged_bins_are_the_shards_one_after_the_other() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    let tokenize = ["tokenize", "--tokenizer", "sample/tokenizer", "--name", "t", "--quiet"];
    let with = |more: &[&str]| said(&[&tokenize[..], more].concat(), root);
    with(&["--input", "sample/corpus", "--out", "shards"]);
    with(&["--input", "sample/corpus", "--out", "merged", "--merge"]);
    with(&["--input", "sample/corpus/000_00001.parquet", "--out", "one"]);

    said(&["merge", "--input", "shards", "--out", "joined", "--quiet"], root);
    said(&["merge", "--input", "shards", "one", "--out", "both", "--name", "both"], root);
    said(&["verify", "joined"], root);
    said(&["verify", "both"], root);
    let refused = ratdata(&["merge", "--input", "sample", "--out", "x"], root);

    for file in ["t-train.bin", "t-train.idx", "t-val.bin", "t-val.idx"] {
        let read = |folder: &str| fs::read(root.join(folder).join(file)).unwrap();
        assert!(read("joined") == read("merged"), "{file} differs");
    }
    let bytes = |path: &str| fs::metadata(root.join(path)).unwrap().len();
    let one = bytes("one/shards/t-train-000_00001.bin");
    assert_eq!(bytes("both/both-train.bin"), bytes("joined/t-train.bin") + one);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_graph_of_a_hundred_thousand_shards_is_planned_at_once() {
    const SHARDS: usize = 100_000;
    let folder = workshop("");
    let root = folder.path();
    let mut pipeline = String::new();
    let mut inputs = Vec::new();
    for number in 0..SHARDS {
        pipeline += &format!(
            "[steps.s{number:06}]\nkind = \"tokenize\"\ntokenizer = \"sample/tokenizer\"\ninput = \"hf://datasets/o/n/{number}.parquet\"\n"
        );
        inputs.push(format!("\"@s{number:06}\""));
    }
    pipeline += &format!("[steps.all]\nkind = \"merge\"\ninput = [{}]\n", inputs.join(", "));
    write(&root.join("pipeline.toml"), &pipeline);
    let begun = Instant::now();
    let mut plan = command(&["plan", "pipeline.toml", "--check"], root)
        .stdout(Stdio::from(fs::File::create(root.join("plan.txt")).unwrap()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;

    while plan.try_wait().unwrap().is_none() {
        peak = peak.max(peak_of(plan.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }

    let took = begun.elapsed();
    assert_eq!(plan.wait().unwrap().code(), Some(4));
    let text = fs::read_to_string(root.join("plan.txt")).unwrap();
    assert!(text.trim_end().ends_with("100001 of 100001 steps are stale"));
    // Without optimization the same work takes many times as long.
    let limit = if cfg!(debug_assertions) { 60.0 } else { 1.0 };
    assert!(took.as_secs_f64() < limit, "planned in {took:?}");
    assert!(peak < 500_000, "{peak} kB at the peak");
}

/// Returns the most memory that a process had, in kB.
fn peak_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_pipeline_extends_another_and_keeps_its_record() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    write(&root.join("short.toml"), "extends = \"pipeline.toml\"\n[steps.packed]\nseq_len = 64\n");
    write(&root.join("task.toml"), "");

    said(&["run", "short.toml", "packed", "--quiet"], root);

    let run = fs::read_dir(root.join(".ratdata/store/runs")).unwrap().next().unwrap().unwrap();
    let resolved = fs::read_to_string(run.path().join("resolved.toml")).unwrap();
    let record = fs::read_to_string(run.path().join("events.jsonl")).unwrap();
    assert!(resolved.contains("seq_len = 64"), "{resolved}");
    assert_eq!(made(&record), ["packed", "tokens"]);
    wait_for_steps(root);
}

#[test]
fn a_plan_is_drawn_in_three_languages() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    write(&root.join("task.toml"), "");
    let graph = |form: &str| said(&["plan", "--graph", form], root);

    let (mermaid, dot, svg) = (graph("mermaid"), graph("dot"), graph("svg"));

    assert!(mermaid.starts_with("flowchart") && mermaid.contains("tokens"), "{mermaid}");
    assert!(dot.starts_with("digraph") && dot.contains("->"), "{dot}");
    assert!(svg.starts_with("<svg") && svg.contains("packed"), "{svg}");
}

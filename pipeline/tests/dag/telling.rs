//! How a run is reported: its events to a reader that stops reading, and the progress of long steps.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use ratdata_schemas::RunEventKind;

use super::support::{events, made, workshop};
use ratdata_tests::program::{command, run, succeed};

#[test]
fn a_run_continues_when_nobody_reads_its_events() {
    let pipeline = r#"
[steps.a]
kind = "command"
program = ["sh", "-c", "while test ! -e go; do sleep 0.05; done; echo 1 > $RATDATA_OUT/f"]

[steps.b]
kind = "command"
program = ["cp", "@a/f", "@out/f"]
"#;
    let folder = workshop(pipeline);
    let root = folder.path();
    let mut run =
        command(root, &["run", "pipeline.toml", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut reader = BufReader::new(run.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();

    drop(reader);
    fs::File::create(root.join("go")).unwrap();
    let ended = run.wait().unwrap();

    let runs = root.join(".ratdata/store/runs");
    let record = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path().join("events.jsonl");
    let record = fs::read_to_string(record).unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(made(&record), ["a", "b"]);
    assert!(matches!(events(&record).last(), Some(RunEventKind::RunFinished { made: 2, .. })));
}

#[test]
fn how_far_a_step_is_is_told_every_ten_seconds() {
    let pipeline = r#"
[steps.told]
kind = "command"
program = ["sh", "-c", "echo '{\"done\": 3, \"total\": 4, \"unit\": \"files\"}' > $RATDATA_PROGRESS; sleep 11"]

[steps.written]
kind = "command"
program = ["sh", "-c", "head -c 5000 /dev/zero > $RATDATA_OUT/f; sleep 11"]
"#;
    let folder = workshop(pipeline);
    let root = folder.path();

    let output = run(root, &["run", "--num-proc", "2"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let runs = root.join(".ratdata/store/runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let record = events(&fs::read_to_string(run.join("events.jsonl")).unwrap());

    assert!(text.contains("told: 3 of 4 (75%) files"), "{text}");
    assert!(text.contains("written: 5.0 kB written"), "{text}");
    assert!(record.iter().any(|event| matches!(event,
        RunEventKind::StepProgress { step, done: 3, total: Some(4), .. } if step == "told")));
    assert!(!run.join("told.progress").exists());
}

#[test]
fn a_failed_steps_last_words_are_text_and_no_orders_to_the_terminal() {
    let pipeline = "[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"-c\", \"printf '\\\\033[2J\\\\033[31mred\\\\n' >&2; exit 3\"]\n";
    let folder = workshop(pipeline);
    let root = folder.path();

    let output = run(root, &["run"]);

    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("\n    red\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    // Outside of a terminal the log is printed unchanged.
    assert!(succeed(root, &["logs", "a"]).contains('\u{1b}'));
}

#[test]
fn a_step_alone_has_all_threads_whatever_its_kind() {
    let pipeline = "[steps.tokens]\nkind = \"tokenize\"\ntokenizer = \"sample/tokenizer\"\ninput = \"sample/corpus\"\n\n[steps.packed]\nkind = \"pack\"\ninput = \"@tokens\"\nseq_len = 64\n";
    let folder = workshop(pipeline);

    let told = events(&succeed(folder.path(), &["run", "--json", "--num-proc", "3"]));

    let threads = told.iter().filter_map(|event| match event {
        RunEventKind::StepStarted { step, threads, .. } => Some((step.as_str(), *threads)),
        _ => None,
    });
    assert_eq!(threads.collect::<Vec<_>>(), [("tokens", 3), ("packed", 3)]);
}

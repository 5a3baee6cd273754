//! `ratdata generate`: text in, text out, with the real trainer where it was built next to `ratdata`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "it says that the trainer was not built")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ratdata_tests::files;
use ratdata_tests::program::{self, stderr};
use serde_json::Value;
use tempfile::TempDir;

/// Sample data, a tiny model trained on it, and rows with questions.
struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// Makes it once for all tests; none where the trainer was not built.
    fn get() -> Option<&'static Self> {
        static MADE: OnceLock<Option<Workshop>> = OnceLock::new();
        MADE.get_or_init(Self::make).as_ref()
    }

    fn make() -> Option<Self> {
        if !program::has_trainer() {
            eprintln!("ratdata-train is not next to ratdata: nothing is generated");
            return None;
        }
        let made = Self { folder: tempfile::tempdir().unwrap() };
        program::write_sample(made.folder.path());
        let run = |arguments: &[&str]| {
            let output = made.run(arguments);
            assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        };
        let tokenize = ["tokenize", "--tokenizer", program::SAMPLE_TOKENIZER];
        let places = ["--input", "demo/corpus", "--out", "tokens", "--name", "demo", "-q"];
        run(&[&tokenize[..], &places].concat());
        made.write(
            "task.toml",
            "prompt = \"Question: {question}\\n\\nAnswer:\"\nmax_new_tokens = 12\n\
             [splits.test]\nsource = \"test.jsonl\"\nlocal = \"test.jsonl\"\nreferences = \"answers\"\n",
        );
        let row = |i: usize| {
            let question = "What is the story about? ".repeat(i % 5 + 1);
            format!("{{\"question\": \"{question}\", \"answers\": [\"rain\", \"é{i}\"]}}\n")
        };
        made.write("test.jsonl", &(0..13).map(row).collect::<String>());
        run(&[
            "sft",
            "--task-file",
            "task.toml",
            "--input",
            ".",
            "--split",
            "test",
            "--tokenizer",
            "demo/tokenizer",
            "--max-length",
            "96",
            "--out",
            "rows",
            "-q",
        ]);
        run(&[
            "train",
            "demo",
            "--data",
            "tokens",
            "--set",
            "model.vocab_size=1024",
            "--set",
            "training.iterations=40",
            "--out",
            "run",
            "--device",
            "cpu",
            "-q",
        ]);
        Some(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        files::write(&self.path(name), text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command(self.folder.path(), arguments);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_prompt_is_continued_and_a_stop_ends_the_text() {
    let Some(workshop) = Workshop::get() else { return };
    let generate = ["generate", "run", "--prompt", "It was", "--max-new", "20"];

    let text = stdout(&workshop.run(&generate));
    let json = stdout(&workshop.run(&[&generate[..], &["--json"]].concat()));

    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["text"].as_str().unwrap(), text.strip_suffix('\n').unwrap());
    assert!(found["tokens"].as_u64().unwrap() <= 20 && !text.trim().is_empty(), "{found}");
    let word = text.split_whitespace().nth(2).unwrap();
    let stopped = stdout(&workshop.run(&[&generate[..], &["--stop", word, "--json"]].concat()));
    let stopped: Value = serde_json::from_str(&stopped).unwrap();
    assert_eq!(stopped["end"], "stop");
    assert_eq!(stopped["text"].as_str().unwrap(), &text[..text.find(word).unwrap()]);
}

#[test]
fn a_checkpoint_speaks_with_the_tokenizer_of_its_run() {
    let Some(workshop) = Workshop::get() else { return };
    let checkpoint = "run/checkpoints/iteration-000000040";
    let text = |run| stdout(&workshop.run(&["generate", run, "--prompt", "It was"]));

    assert_eq!(text(checkpoint), text("run"));
}

#[test]
fn drawn_texts_follow_the_seed() {
    let Some(workshop) = Workshop::get() else { return };
    let draw = |seed: &str, batch: &str| {
        stdout(&workshop.run(&[
            "generate",
            "run",
            "--prompt",
            "It was",
            "--prompt",
            "Why",
            "--max-new",
            "12",
            "--temperature",
            "1.0",
            "--top-k",
            "50",
            "--top-p",
            "0.95",
            "--num-return",
            "3",
            "--seed",
            seed,
            "--batch",
            batch,
            "--json",
        ]))
    };

    let texts = draw("1", "8");

    let found: Vec<Value> = texts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let prompts: Vec<u64> = found.iter().map(|text| text["prompt"].as_u64().unwrap()).collect();
    assert_eq!(prompts, [0, 0, 0, 1, 1, 1]);
    assert!(found[0]["text"] != found[1]["text"] && found[1]["text"] != found[2]["text"]);
    assert_eq!(draw("1", "2"), texts);
    assert_ne!(draw("2", "8"), texts);
}

#[test]
fn a_test_split_gets_predictions_in_order_and_the_same_bytes_in_any_batch() {
    let Some(workshop) = Workshop::get() else { return };
    let answer = |out: &str, batch: &str| {
        workshop.run(&["generate", "run", "--input", "rows", "--out", out, "--batch", batch])
    };

    let told = stdout(&answer("p1", "1"));
    stdout(&answer("p5", "5"));

    let path = workshop.path("p1/predictions.jsonl");
    assert!(told.contains("predictions.jsonl") && told.contains("13 rows"), "{told}");
    let found = rows(&path);
    assert_eq!(found.len(), 13);
    for (row, line) in found.iter().enumerate() {
        assert_eq!(line["answers"][1], format!("é{row}"));
        assert!(line["pred"].is_string());
    }
    assert_eq!(fs::read(&path).unwrap(), fs::read(workshop.path("p5/predictions.jsonl")).unwrap());
    let record = |out: &str| fs::read(workshop.path(out).join("generation.json")).unwrap();
    assert_eq!(record("p1"), record("p5"));

    let again = answer("p1", "3");
    assert!(stdout(&again).is_empty() && stderr(&again).contains("p1: already done"));
    let other =
        workshop.run(&["generate", "run", "--input", "rows", "--out", "p1", "--temperature", "1"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        stderr(&other).contains("p1: has predictions of another run")
            && stderr(&other).contains("--force")
    );

    // Without a folder the same lines go to stdout, and scores can be computed of either.
    let lines = stdout(&workshop.run(&["generate", "run", "--input", "rows"]));
    assert_eq!(lines.as_bytes(), fs::read(&path).unwrap());
    let scores = stdout(&workshop.run(&["score", "p1", "--metric", "f1"]));
    assert!(scores.contains("predictions      13  f1"), "{scores}");
}

#[test]
fn a_killed_job_resumes_to_the_same_bytes() {
    let Some(workshop) = Workshop::get() else { return };
    let line = |i: usize| format!("{{\"prompt\": \"It was {i}\", \"n\": {i}}}");
    let lines = (0..60).map(line).collect::<Vec<_>>().join("\n");
    workshop.write("many.jsonl", &lines);
    let arguments = |out| {
        [
            "generate",
            "run",
            "--input",
            "many.jsonl",
            "--out",
            out,
            "--max-new",
            "60",
            "--batch",
            "2",
        ]
    };
    let mut killed = workshop.command(&arguments("killed")).stderr(Stdio::null()).spawn().unwrap();
    let journal = workshop.path("killed/.job/predictions.jsonl");
    let begun = Instant::now();
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    while lines() < 4 && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!workshop.path("killed/many.jsonl").exists(), "it was killed before its end");
    // A kill may cut the last line.
    let mut torn = File::options().append(true).open(&journal).unwrap();
    torn.write_all(b"{\"row\":59,\"li").unwrap();

    let resumed = workshop.run(&arguments("killed"));
    let whole = workshop.run(&arguments("whole"));

    stdout(&whole);
    stdout(&resumed);
    assert!(stderr(&resumed).contains("resuming with ") && stderr(&resumed).contains("of 60 rows"));
    let read = |out: &str| fs::read(workshop.path(out).join("many.jsonl")).unwrap();
    assert_eq!(read("killed"), read("whole"));
    assert_eq!(rows(&workshop.path("whole/many.jsonl"))[59]["n"], 59);
    assert!(!workshop.path("killed/.job").exists());
}

#[test]
fn steps_of_a_pipeline_generate_and_score() {
    let Some(workshop) = Workshop::get() else { return };
    workshop.write(
        "pipeline.toml",
        "[steps.answers]\nkind = \"generate\"\nrun = \"run\"\ninput = \"rows\"\ndevice = \"cpu\"\n\
         tokenizer = \"demo/tokenizer\"\nbatch = 3\npublish = \"answers\"\n\n\
         [steps.scores]\nkind = \"score\"\npredictions = \"@answers\"\n\
         metric = [\"f1\", \"rouge-l\"]\npublish = \"scores\"\n",
    );

    stdout(&workshop.run(&["run"]));
    let again = workshop.run(&["run", "--set", "steps.answers.batch=1"]);
    stdout(&workshop.run(&["generate", "run", "--input", "rows", "--out", "direct", "-q"]));

    assert!(stderr(&again).contains("0 made, 2 fresh"), "{}", stderr(&again));
    let read = |path: &str| fs::read(workshop.path(path)).unwrap();
    assert_eq!(read("answers/predictions.jsonl"), read("direct/predictions.jsonl"));
    let scores: Value = serde_json::from_slice(&read("scores/scores.json")).unwrap();
    assert_eq!(scores[0]["rows"], 13);
    assert!(scores[0]["scores"]["rouge-l"].is_f64());
}

#[test]
fn each_mistake_has_its_own_message_and_status() {
    let Some(workshop) = Workshop::get() else { return };
    workshop.write("ids.jsonl", "{\"prompt\": [5, 6]}\n\n{\"prompt\": [5, 1024]}\n");
    workshop.write("broken.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": 7}\n");
    workshop.write("empty.jsonl", "\n");
    workshop.write("blank.jsonl", "{\"prompt\": \"\"}\n");
    let long = "word ".repeat(300);
    fs::create_dir_all(workshop.path("other")).unwrap();
    let resolved = fs::read_to_string(workshop.path("run/resolved.toml")).unwrap();
    workshop.write("other/resolved.toml", &resolved.replace("d_model = 64", "d_model = 32"));
    fs::copy(workshop.path("run/model.safetensors"), workshop.path("other/model.safetensors"))
        .unwrap();

    for (arguments, status, message, hint) in [
        (&["gone", "--prompt", "a"][..], 2, "gone: no such run", "ratdata train"),
        (
            &["demo", "--prompt", "a", "--tokenizer", "demo/tokenizer"],
            2,
            "demo: no run and no checkpoint",
            "ratdata train",
        ),
        (&["other", "--prompt", "a"], 1, "weights of another model", "configuration"),
        (&["run"], 2, "no prompt was given", "--prompt TEXT"),
        (&["run", "--prompt", ""], 2, "prompt 1: the prompt is empty", "at least one token"),
        (&["run", "--prompt", &long], 2, "the model was trained on sequences of 128", "--grow"),
        (&["run", "--prompt", "a", "--max-new", "0"], 2, "invalid value '0'", ""),
        (&["run", "--prompt", "a", "--temperature", "-1"], 2, "found `-1`, expected 0", ""),
        (&["run", "--prompt", "a", "--top-p", "0"], 2, "expected a number above 0", ""),
        (
            &["run", "--prompt", "a", "--num-return", "2"],
            2,
            "all texts are the same",
            "--temperature",
        ),
        (&["run", "--prompt", "a", "--device", "abacus"], 2, "no device is named `abacus`", ""),
        (
            &["run", "--input", "ids.jsonl"],
            1,
            "ids.jsonl:3: the prompt has the id 1024",
            "tokenizer",
        ),
        (&["run", "--input", "broken.jsonl"], 1, "broken.jsonl:2: ", "{\"prompt\": \"Once upon\""),
        (&["run", "--input", "empty.jsonl"], 1, "empty.jsonl: has no prompts", ""),
        (&["run", "--input", "blank.jsonl"], 1, "blank.jsonl:1: the prompt is empty", "token"),
        (&["run", "--input", "gone.jsonl"], 1, "gone.jsonl: cannot read", ""),
        (&["run", "--input", "tokens"], 1, "tokens: no split `test`", ""),
        (&["run", "--input", "tokens", "--split", "train"], 1, "holds token bins", ""),
        (&["run", "--input", "rows", "--split", "train"], 1, "no split `train`", ""),
        (&["run", "--input", "rows", "--prompt", "a"], 2, "cannot be used with", ""),
    ] {
        let output = workshop.run(&[&["generate"][..], arguments].concat());

        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(message) && said.contains(hint), "{arguments:?}: {said}");
    }
}

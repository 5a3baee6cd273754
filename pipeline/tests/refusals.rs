//! What the system refuses, and what the user corrects: full disks and limits on files, a second run at
//! the same place, a mistyped first command, folders of other things.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};

/// Runs the program under a limit on the size of files, in blocks of 1024 bytes.
fn limited(workshop: &Workshop, blocks: u32, arguments: &[&str]) -> Output {
    under(workshop, &format!("ulimit -f {blocks}"), arguments)
}

/// Runs the program after a command of the shell that limits something.
fn under(workshop: &Workshop, limit: &str, arguments: &[&str]) -> Output {
    let script = format!("{limit}; exec \"$0\" \"$@\"");
    Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_ratdata")])
        .args(arguments)
        .current_dir(workshop.path("."))
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", workshop.path("hub"))
        .output()
        .unwrap()
}

const TOKENIZE: [&str; 8] =
    ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus", "--name", "demo", "-q"];

fn to<'a>(arguments: &[&'a str], out: &'a str) -> Vec<&'a str> {
    [arguments, &["--out", out]].concat()
}

#[test]
fn a_limit_on_files_is_told_as_a_full_disk_is_and_the_same_command_continues() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "whole")).status.success());

    let commands: [(&[&str], &str); 4] = [
        (&TOKENIZE, "tokens"),
        (&["pack", "--input", "whole", "--seq-len", "64", "--materialize", "-q"], "packed"),
        (&["merge", "--input", "whole", "-q"], "merged"),
        (&["report", "whole", "--tokenizer", "demo/tokenizer", "-q"], "page.html"),
    ];
    for (command, out) in commands {
        let command = to(command, out);
        let refused = limited(&workshop, 16, &command);

        assert_eq!(refused.status.code(), Some(1), "{command:?}: {:?}", refused.status.signal());
        let told = stderr(&refused);
        assert!(told.contains("cannot write: File too large"), "{command:?}: {told}");
        assert!(told.contains("hint: ") && told.contains("`ulimit -f`"), "{command:?}: {told}");
        assert!(!told.contains("finished shards"), "{command:?}: {told}");
        let again = workshop.run(&command);
        assert!(again.status.success(), "{command:?}: {}", stderr(&again));
    }
    assert!(content(&workshop.path("tokens")) == content(&workshop.path("whole")));
}

/// The least memory, in KiB, that the system needs to start the program differs by system and build.
#[cfg(target_os = "linux")]
#[test]
fn memory_that_runs_out_is_told_and_never_ends_the_program_by_a_signal() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "whole")).status.success());

    let mut told = 0;
    let limits = (40_000..600_000).step_by(20_000);
    let limit = |limit: u32| format!("ulimit -v {limit}");
    for limit in limits.map(limit).skip_while(|limit| {
        let version = under(&workshop, limit, &["--version"]);
        !version.status.success()
    }) {
        let ended = under(&workshop, &limit, &to(&TOKENIZE, "tokens"));

        match ended.status.code() {
            Some(0) => break,
            Some(1) => told += usize::from(stderr(&ended).contains("error: memory ran out")),
            _ => panic!("{limit}: {}: {}", ended.status, stderr(&ended)),
        }
    }

    assert!(told > 0, "memory never ran out");
    let again = workshop.run(&to(&TOKENIZE, "tokens"));
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(content(&workshop.path("tokens")) == content(&workshop.path("whole")));
}

#[test]
fn a_step_of_the_users_own_has_the_signals_that_it_expects() {
    let workshop = Workshop::new();
    workshop.write(
        "pipeline.toml",
        br#"
[steps.look]
kind = "command"
program = ["sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status > $RATDATA_OUT/signals"]
outputs = ["signals"]
publish = "look"
"#,
    );

    let ran = workshop.run(&["run", "-q"]);

    assert!(ran.status.success(), "{}", stderr(&ran));
    let signals = fs::read_to_string(workshop.path("look/signals")).unwrap();
    assert_eq!(signals.lines().count(), 2, "{signals}");
    for line in signals.lines() {
        let (_, mask) = line.split_once('\t').unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        assert_eq!(mask & (1 << 24), 0, "SIGXFSZ is signal 25: {line}");
    }
}

#[test]
fn a_first_command_with_a_mistake_does_not_keep_the_corrected_one_off() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "whole")).status.success());
    let name = ["--name", "other"];

    let wrong = workshop.run(&[&to(&TOKENIZE, "out")[..], &["--text-column", "body"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
    assert!(workshop.path("out/.job").is_dir(), "the job was begun");
    let corrected = workshop.run(&to(&TOKENIZE, "out"));

    assert!(corrected.status.success(), "{}", stderr(&corrected));
    assert!(content(&workshop.path("out")) == content(&workshop.path("whole")));

    // A job of which a file is done keeps its folder.
    workshop.write("in/a.jsonl", b"{\"text\": \"whole\"}\n");
    workshop.write("in/b.jsonl", b"{\"text\": null}\n");
    let half =
        ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "in", "-q", "--out", "half"];
    let one_thread = [&half[..], &["--num-proc", "1"]].concat();
    assert_eq!(workshop.run(&one_thread).status.code(), Some(1));
    assert!(workshop.path("half/.job/done").is_dir(), "the first file is done");
    let other = workshop.run(&[&half[..], &name].concat());
    assert_eq!(other.status.code(), Some(1), "{}", stderr(&other));
    assert!(stderr(&other).contains("config.name"), "{}", stderr(&other));
}

#[test]
fn one_page_is_written_by_one_report_at_a_time() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "tokens")).status.success());
    let report = ["report", "tokens", "--tokenizer", "demo/tokenizer", "-q", "-o", "page.html"];

    let held = File::create(workshop.path("page.html.partial")).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let second = workshop.run(&report);
    drop(held);
    let third = workshop.run(&report);

    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("page.html: another run is writing this file"));
    assert!(stderr(&second).contains("hint: wait for it to end"), "{}", stderr(&second));
    assert!(third.status.success(), "{}", stderr(&third));
    assert!(
        fs::read_to_string(workshop.path("page.html")).unwrap().trim_end().ends_with("</html>")
    );
    assert!(!workshop.path("page.html.partial").exists());
}

#[test]
fn a_page_goes_where_it_is_told_or_says_why_not() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "tokens")).status.success());
    let report = |out: &str| {
        workshop.run(&["report", "tokens", "--tokenizer", "demo/tokenizer", "-q", "-o", out])
    };

    let folder = report("demo");
    assert_eq!(folder.status.code(), Some(2));
    assert!(stderr(&folder).contains("demo: is a folder"), "{}", stderr(&folder));
    assert!(stderr(&folder).contains("`--out demo/report.html`"), "{}", stderr(&folder));
    let full = report("/dev/full");
    assert_eq!(full.status.code(), Some(1));
    assert!(stderr(&full).contains("/dev/full: cannot write: No space left"), "{}", stderr(&full));
    assert!(stderr(&full).contains("free some space"), "{}", stderr(&full));
    let below_a_file = report("demo/corpus/000_00000.parquet/page.html");
    assert_eq!(below_a_file.status.code(), Some(1));
    assert!(stderr(&below_a_file).contains("hint: a file stands"), "{}", stderr(&below_a_file));
    let streamed = report("/dev/stdout");
    assert!(streamed.status.success(), "{}", stderr(&streamed));
    assert!(
        streamed.stdout.starts_with(b"<!doctype html>")
            || streamed.stdout.starts_with(b"<!DOCTYPE")
    );
    std::os::unix::fs::symlink("tokens/page.html", workshop.path("link.html")).unwrap();
    File::create(workshop.path("tokens/page.html")).unwrap();
    assert!(report("link.html").status.success());
    assert!(workshop.path("link.html").is_symlink(), "a link stays one");
    assert!(fs::metadata(workshop.path("tokens/page.html")).unwrap().len() > 1000);
}

const STEP: &[u8] = b"[steps.x]\nkind = 'command'\nprogram = ['true']\n";

#[test]
fn a_folder_of_other_things_is_no_store_and_nothing_in_it_is_removed() {
    let workshop = Workshop::new();
    workshop.write("pipeline.toml", STEP);
    workshop.write("home/photos/one.jpg", b"x");
    workshop.write("home/tokenize-notes/a", b"x");

    for command in [
        &["clean", "--yes", "--store", "home"][..],
        &["clean", "pipeline.toml", "--yes", "--store", "home"],
        &["status", "--store", "home"],
        &["logs", "x", "--store", "home"],
        &["cancel", "--store", "home"],
    ] {
        let refused = workshop.run(command);

        assert_eq!(refused.status.code(), Some(2), "{command:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("home: not a store"), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("`--store`"), "{}", stderr(&refused));
    }
    let file = workshop.run(&["status", "--store", "pipeline.toml"]);
    assert_eq!(file.status.code(), Some(1), "{}", stderr(&file));
    assert!(stderr(&file).contains("cannot read the store"), "{}", stderr(&file));

    // A store among other things loses what is its own alone.
    assert!(workshop.run(&["run", "--store", "home", "-q"]).status.success());
    workshop.write("pipeline.toml", [STEP, b"env = { A = 1 }\n"].concat());
    let cleaned = workshop.run(&["clean", "--yes", "--store", "home"]);
    assert!(cleaned.status.success(), "{}", stderr(&cleaned));
    assert!(workshop.path("home/photos/one.jpg").is_file());
    assert!(workshop.path("home/tokenize-notes/a").is_file());
}

#[test]
fn a_store_that_cannot_be_written_names_its_own_option() {
    let workshop = Workshop::new();
    workshop.write("pipeline.toml", STEP);

    let refused = workshop.run(&["run", "-q", "--store", "pipeline.toml/store"]);

    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("choose another `--store`"), "{}", stderr(&refused));
}

#[test]
fn a_pipeline_without_steps_is_told_to_be_empty() {
    let workshop = Workshop::new();
    workshop.write("pipeline.toml", b"store = 'results'\n");

    for command in ["plan", "run"] {
        let refused = workshop.run(&[command]);

        assert_eq!(refused.status.code(), Some(2), "{command}: {}", stderr(&refused));
        assert!(
            stderr(&refused).contains("error: pipeline.toml: the pipeline has no step\nhint: "),
            "{}",
            stderr(&refused)
        );
        assert!(!workshop.path("results").exists());
    }
}

#[test]
fn a_device_is_no_file_that_is_read_to_its_end() {
    let workshop = Workshop::new();
    for device in ["/dev/full", "/dev/zero"] {
        for command in [
            &["run", device][..],
            &["plan", device],
            &["sft", "--task-file", device, "--tokenizer", "demo/tokenizer", "--out", "o"],
            &["inspect", device],
            &["verify", device],
            &["tokenize", "--tokenizer", device, "--input", "demo/corpus", "--out", "o"],
            &["tokenize", "--tokenizer", "demo/tokenizer", "--input", device, "--out", "o"],
            &["import", device, "--from", "raw", "--eos", "none", "--out", "o"],
        ] {
            let mut child = workshop
                .command(command)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(10));
            }
            child.kill().ok();
            let output = child.wait_with_output().unwrap();
            let code = output.status.code();
            assert!(matches!(code, Some(1..=3)), "{command:?}: {code:?} {}", stderr(&output));
        }
    }
}

#[test]
fn an_array_from_1_is_told_with_its_number_and_what_to_use() {
    let workshop = Workshop::new();
    let shared = [&to(&TOKENIZE, "out")[..], &["--shard", "auto/4"]].concat();

    let output = workshop.command(&shared).env("SLURM_ARRAY_TASK_ID", "4").output().unwrap();

    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("SLURM_ARRAY_TASK_ID is 4") && told.contains("--array=0-3"), "{told}");
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_no_failure() {
    let workshop = Workshop::new();
    assert!(workshop.run(&to(&TOKENIZE, "tokens")).status.success());
    workshop.write("pipeline.toml", STEP);
    assert!(workshop.run(&["run", "-q"]).status.success());

    for command in [
        &["inspect", "tokens"][..],
        &["plan"],
        &["status"],
        &["logs", "x"],
        &["clean"],
        &["verify", "tokens"],
        &["report", "tokens", "-o", "/dev/stdout", "--tokenizer", "demo/tokenizer"],
    ] {
        let script = "\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}";
        let status = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_ratdata")])
            .args(command)
            .current_dir(workshop.path("."))
            .env("HF_HUB_OFFLINE", "1")
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{command:?}");
    }
    assert!(Path::new("/dev/stdout").exists());
}

#[test]
fn help_that_nobody_can_take_is_a_failure_with_a_word() {
    for asked in [&["--version"][..], &["tokenize", "--help"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();

        let output =
            Command::new(env!("CARGO_BIN_EXE_ratdata")).args(asked).stdout(full).output().unwrap();

        assert_eq!(output.status.code(), Some(1), "{asked:?}");
        assert!(stderr(&output).contains("stdout: cannot write"), "{}", stderr(&output));
    }
}

#[test]
fn a_pipe_in_the_place_of_a_tokenizer_is_refused_and_not_waited_for() {
    let workshop = Workshop::new();
    let pipe = workshop.path("tokenizer.json");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let begun = Instant::now();

    let refused = workshop.run(&[
        "tokenize",
        "--tokenizer",
        "tokenizer.json",
        "--input",
        "demo/corpus",
        "--out",
        "out",
    ]);

    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("not a regular file"), "{}", stderr(&refused));
}

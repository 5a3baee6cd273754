//! Shares: what several tasks make, each a part, is byte for byte what one makes alone.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::{results, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::{command, run, spawn, succeed};

/// One step of each kind that can be shared, and one that takes what shares made.
const SHARED: &str = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "sample/tokenizer"
input = "sample/corpus"
name = "t"

[steps.pairs]
kind = "sft"
task_file = "task.toml"
tokenizer = "sample/tokenizer"
max_length = 64

[steps.packed]
kind = "sft"
task_file = "task.toml"
tokenizer = "sample/tokenizer"
max_length = 64
packing = "best-fit"

[steps.mixed]
kind = "mix"
input = ["@tokens", "@tokens"]
take = ["epochs=3", "epochs=2"]
shard_tokens = "4000"

[steps.verified]
kind = "verify"
path = "@tokens"
retokenize = 0.3
input = "sample/corpus"
tokenizer = "sample/tokenizer"
"#;

/// Shuffled, sampled, with a bad row here and there, and a split that is scored.
const TASK: &str = r#"
prompt = "Story: {story}\n\nQuestion: {q}\n\nAnswer:"
max_new_tokens = 16
[splits.train]
source = "data/train*.jsonl"
answers = ["a", "b"]
shuffle = 7
sample = { rows = 900, seed = 3 }
[splits.test]
source = "data/test.jsonl"
references = "a"
"#;

fn rows(seed: usize, count: usize) -> String {
    let mut text = String::new();
    for row in 0..count {
        let story = "once upon a time there was a token ".repeat(1 + (row / 30 + seed) % 40);
        let row = seed * 10_000 + row;
        writeln!(
            text,
            r#"{{"story": "{story}", "q": "what is {row}?", "a": "it is {row}", "b": "{row}, of course"}}"#
        )
        .unwrap();
    }
    text
}

fn shared_workshop() -> TempDir {
    let folder = workshop(SHARED);
    write(&folder.path().join("task.toml"), TASK);
    write(&folder.path().join("data/train-0.jsonl"), rows(0, 1100));
    write(&folder.path().join("data/test.jsonl"), rows(5, 600));
    folder
}

/// The arguments of a run with a store of its own.
fn run_words<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "pipeline.toml", "--quiet", "--store", store][..], more].concat()
}

#[test]
fn shares_of_every_kind_are_joined_to_the_same_bytes() {
    let folder = shared_workshop();
    let root = folder.path();
    succeed(root, &run_words("whole", &[]));

    // The second round finds the result of `tokens`, which the others take.
    for steps in [&["tokens", "pairs", "packed"][..], &["verified", "mixed"]] {
        for share in ["2/3", "0/3", "1/3"] {
            succeed(root, &run_words("shared", &[steps, &["--shard", share]].concat()));
        }
        let status = succeed(root, &["status", "pipeline.toml", "--store", "shared"]);
        assert_eq!(status.matches("3 shares done").count(), steps.len(), "{status}");
        succeed(root, &run_words("shared", steps));
    }

    assert!(results(&root.join("whole")) == results(&root.join("shared")));
    let left = fs::read_dir(root.join("shared")).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".s"));
    assert_eq!(left.count(), 0, "staged folders are left");
}

#[test]
fn a_share_killed_at_any_moment_is_done_again_to_the_same_bytes() {
    let folder = shared_workshop();
    let root = folder.path();
    succeed(root, &run_words("whole", &["pairs", "packed"]));
    let whole = results(&root.join("whole"));
    let begun = Instant::now();
    succeed(root, &share("timed", "0/2"));
    let took = begun.elapsed();
    let mut kills = 0;

    for round in 0..4_u32 {
        let store = format!("killed-{round}");
        for number in ["0/2", "1/2"] {
            let mut task = spawn(root, &share(&store, number));
            std::thread::sleep(took * (round + 1) / 5);
            kills += u32::from(task.try_wait().unwrap().is_none());
            kill_steps(root, &store);
            task.kill().unwrap();
            task.wait().unwrap();
            // Of the last round a share stays undone, which the run after it makes.
            if (round, number) != (3, "1/2") {
                succeed(root, &share(&store, number));
            }
        }
        let mut joins = spawn(root, &run_words(&store, &["pairs", "packed"]));
        std::thread::sleep(took * (round + 1) / 5);
        kill_steps(root, &store);
        joins.kill().unwrap();
        joins.wait().unwrap();
        succeed(root, &run_words(&store, &["pairs", "packed"]));

        assert!(results(&root.join(&store)) == whole, "round {round} differs");
    }
    assert!(kills > 3, "only {kills} tasks were killed before they ended");
}

fn share<'a>(store: &'a str, share: &'a str) -> Vec<&'a str> {
    run_words(store, &["pairs", "packed", "--shard", share])
}

/// Kills the processes of a store's steps, which name it in their arguments.
fn kill_steps(root: &Path, store: &str) {
    let store = format!("{}/.", root.join(store).display());
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(words) = fs::read(entry.path().join("cmdline")) else { continue };
        if String::from_utf8_lossy(&words).contains(&store) {
            let process = entry.file_name().to_string_lossy().into_owned();
            let mut kill = std::process::Command::new("kill");
            kill.args(["-9", &process]).stderr(Stdio::null()).status().unwrap();
        }
    }
}

/// All files below a folder, for comparing what direct commands write.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder, root.path().join("x")).unwrap();
    let files = results(root.path());
    files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}

#[test]
fn instruction_rows_are_shared_by_file_or_by_row_in_every_form() {
    let folder = shared_workshop();
    let root = folder.path();
    write(&root.join("data/train-1.jsonl"), rows(1, 300));
    write(&root.join("data/train-2.jsonl"), rows(2, 30).replace("\"it is 20007\"", "\"\""));
    let sft = |out: &str, more: &[&str]| {
        let fixed = ["sft", "--task-file", "task.toml", "--tokenizer", "sample/tokenizer"];
        let row = ["--max-length", "64", "--on-bad-row", "skip", "--out", out];
        run(root, &[&fixed[..], &row, more].concat())
    };
    for packing in ["none", "concat", "best-fit"] {
        let alone = sft("alone", &["--packing", packing]);
        // Three files: two shares have files, five have rows, and some of twenty have nothing.
        let counts: &[usize] = if packing == "none" { &[2, 5, 20] } else { &[2, 5] };
        for &count in counts {
            for share in (0..count).rev() {
                let shard = format!("{share}/{count}");
                let made = sft("shared", &["--packing", packing, "--shard", &shard]);
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                assert!(!root.join("shared/manifest.json").exists());
            }
            let joined = sft("shared", &["--packing", packing]);

            assert!(files(&root.join("alone")) == files(&root.join("shared")), "{packing} {count}");
            let told = |output: &std::process::Output| {
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                text.lines().filter(|line| line.contains("row")).collect::<Vec<_>>().join("\n")
            };
            assert!(told(&alone).contains("1 rows left out"), "{}", told(&alone));
            assert_eq!(told(&alone), told(&joined));
            fs::remove_dir_all(root.join("shared")).unwrap();
        }
        fs::remove_dir_all(root.join("alone")).unwrap();
    }
}

#[test]
fn rows_that_shares_encoded_are_not_encoded_again() {
    let folder = shared_workshop();
    let root = folder.path();
    let fixed = ["sft", "--task-file", "task.toml", "--tokenizer", "sample/tokenizer"];
    let sft = |more: &[&str]| {
        run(root, &[&fixed[..], &["--max-length", "64", "--out", "out"], more].concat())
    };
    for shard in ["0/2", "1/2"] {
        assert!(sft(&["--shard", shard]).status.success());
    }
    let portions = root.join("out/.job/portions");
    let portion = fs::read_dir(portions).unwrap().next().unwrap().unwrap().path();
    fs::File::options().write(true).open(&portion).unwrap().set_len(100).unwrap();

    let joined = sft(&[]);
    fs::remove_file(&portion).unwrap();
    let mended = sft(&[]);

    let text = String::from_utf8(joined.stderr).unwrap();
    assert_eq!(joined.status.code(), Some(1), "{text}");
    assert!(text.contains(&portion.file_name().unwrap().to_string_lossy().into_owned()), "{text}");
    assert!(text.contains("encoded again"), "{text}");
    assert!(mended.status.success());
}

#[test]
fn what_a_share_of_a_check_finds_fails_the_run_that_joins_them() {
    let folder = shared_workshop();
    let root = folder.path();
    let tokenize = ["tokenize", "--tokenizer", "sample/tokenizer", "--input", "sample/corpus"];
    succeed(root, &[&tokenize[..], &["--name", "t", "--out", "tokens", "--quiet"]].concat());
    let verify = |out: &str, more: &[&str]| {
        let mut command = command(root, &["verify", "tokens", "--out", out]);
        command.args(more).args(["--retokenize", "50%", "--input", "sample/corpus"]);
        command.args(["--tokenizer", "sample/tokenizer"]).output().unwrap()
    };
    let bin = root.join("tokens/shards/t-val-000_00001.bin");
    let whole = fs::read(&bin).unwrap();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    let put = |bytes: &[u8]| {
        fs::File::create(&bin).and_then(|mut f| std::io::Write::write_all(&mut f, bytes))
    };
    put(&damaged).unwrap();

    let alone = verify("alone", &[]);
    let shares: Vec<_> =
        ["0/4", "1/4", "2/4", "3/4"].map(|share| verify("shared", &["--shard", share])).into();
    let joined = verify("shared", &[]);
    put(&whole).unwrap();
    let mended = verify("shared", &[]);

    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(alone.status.code(), Some(3));
    assert!(said(&alone).contains("t-val-000_00001.bin: BLAKE3"), "{}", said(&alone));
    assert!(shares.iter().all(|share| share.status.success()));
    let found = shares.iter().filter(|share| said(share).contains("t-val-000_00001.bin"));
    assert!(found.count() >= 1, "no share tells what it found");
    assert_eq!(joined.status.code(), Some(3));
    assert_eq!(said(&joined), said(&alone));
    assert_eq!(mended.status.code(), Some(0), "{}", said(&mended));
    assert!(!root.join("alone/report.json").exists());
    assert!(root.join("shared/report.json").exists());
}

#[test]
fn a_failed_check_fails_its_step_and_is_made_again_after_a_repair() {
    let folder = shared_workshop();
    let root = folder.path();
    succeed(root, &run_words("store", &["tokens"]));
    let object = fs::read_dir(root.join("store")).unwrap().flatten();
    let object = object.map(|e| e.path()).find(|path| path.join("manifest.json").exists()).unwrap();
    let bin = object.join("shards/t-train-000_00000.bin");
    let whole = fs::read(&bin).unwrap();
    let put = |bytes: &[u8]| {
        fs::File::create(&bin).and_then(|mut f| std::io::Write::write_all(&mut f, bytes))
    };
    put(&whole[..whole.len() - 2]).unwrap();

    for shard in ["0/2", "1/2"] {
        succeed(root, &run_words("store", &["verified", "--shard", shard]));
    }
    let failed = run(root, &run_words("store", &["verified"]));
    let log = succeed(root, &["logs", "verified", "--store", "store"]);
    let status = succeed(root, &["status", "pipeline.toml", "--store", "store"]);
    put(&whole).unwrap();
    succeed(root, &run_words("store", &["verified"]));

    assert_eq!(failed.status.code(), Some(1));
    assert!(log.contains("t-train-000_00000.bin") && log.contains("expected"), "{log}");
    assert!(status.contains("exit status: 3"), "{status}");
}

/// A node is lost: its task is begun again, and of the others nothing is done twice.
#[test]
fn a_task_begun_again_leaves_the_others_alone() {
    let folder = shared_workshop();
    let root = folder.path();
    let share = |number| run_words("store", &["pairs", "--shard", number]);
    succeed(root, &share("0/3"));
    let portion = || {
        let paths = fs::read_dir(root.join("store")).unwrap().flatten().map(|entry| entry.path());
        let shares = { paths }.find(|path| path.to_string_lossy().contains(".shares-")).unwrap();
        let portions = fs::read_dir(shares.join("0-of-3/.job/portions")).unwrap().flatten();
        portions.map(|portion| portion.metadata().unwrap().modified().unwrap()).max().unwrap()
    };
    let before = portion();
    std::thread::sleep(Duration::from_millis(20));

    for number in ["1/3", "0/3", "1/3", "2/3"] {
        succeed(root, &share(number));
    }

    assert_eq!(portion(), before);
}

//! Fetching by name, from a small server that speaks the hub's tree and file addresses.
//!
//! Longer than 500 lines because all cases share one small hub and its faults.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod small_hub;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use small_hub::{Fault, SmallHub, etag_of};

/// A folder with the demo's corpus and tokenizer, laid out as a hub has them.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for arguments in [
        &["sample", "--quiet", "--out", "demo"][..],
        &[
            "tokenize",
            "--tokenizer",
            "demo/tokenizer",
            "--input",
            "demo/corpus",
            "--name",
            "demo",
            "--quiet",
            "--out",
            "demo/tokens",
        ],
    ] {
        let made = Command::new(env!("CARGO_BIN_EXE_ratdata"))
            .args(arguments)
            .current_dir(root)
            .output()
            .unwrap();
        assert!(made.status.success());
    }
    fs::create_dir_all(root.join("hub/datasets/sample")).unwrap();
    fs::create_dir_all(root.join("hub/models")).unwrap();
    fs::rename(root.join("demo/corpus"), root.join("hub/datasets/sample/tiny")).unwrap();
    fs::copy(root.join("demo/tokenizer/tokenizer.json"), root.join("hub/models/tokenizer.json"))
        .unwrap();
    folder
}

fn tokenize(folder: &Path, hub: &SmallHub, environment: &[(&str, &str)]) -> Output {
    command(folder, hub).envs(environment.iter().copied()).output().unwrap()
}

fn command(folder: &Path, hub: &SmallHub) -> Command {
    into(folder, hub, "out")
}

fn into(folder: &Path, hub: &SmallHub, out: &str) -> Command {
    with_input(folder, hub, "hf://datasets/some/corpus/sample/tiny", out)
}

fn with_input(folder: &Path, hub: &SmallHub, input: &str, out: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
    command
        .args(["tokenize", "--tokenizer", "some/tokenizer", "--name", "demo", "--force"])
        .args(["--input", input, "--out", out])
        .current_dir(folder)
        .env("HF_ENDPOINT", &hub.address)
        .env("HF_HOME", folder.join("home"))
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_OFFLINE");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_dataset_and_a_tokenizer_are_fetched_once_and_used_offline_after() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let online = tokenize(folder.path(), &hub, &[("HF_TOKEN", "secret")]);
    assert!(online.status.success(), "{}", said(&online));
    assert!(hub.requests("token=true") > 0, "HF_TOKEN is sent");
    let asked = hub.requests("");
    let offline = tokenize(folder.path(), &hub, &[("HF_HUB_OFFLINE", "1")]);

    assert!(offline.status.success(), "{}", said(&offline));
    assert_eq!(hub.requests(""), asked, "the second run asks for nothing");
    let train = |out: &str| {
        fs::read(folder.path().join(out).join("shards/demo-train-000_00000.bin")).unwrap()
    };
    assert_eq!(train("out"), train("demo/tokens"));
}

#[test]
fn a_connection_that_drops_in_the_middle_of_a_file_is_taken_up_again() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::DropsOnce);

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", said(&output));
    let fetched =
        folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny/000_00000.parquet");
    assert_eq!(
        fs::read(fetched).unwrap(),
        fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap()
    );
}

#[test]
fn what_an_earlier_run_has_fetched_is_not_fetched_again() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let whole = fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap();
    let cache = folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    fs::create_dir_all(&cache).unwrap();
    let begun = format!("000_00000.parquet.{}.incomplete", etag_of(&whole));
    let mut begun = fs::File::create(cache.join(begun)).unwrap();
    begun.write_all(&whole[..5000]).unwrap();

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(cache.join("000_00000.parquet")).unwrap(), whole);
    assert!(
        hub.requests("000_00000.parquet HTTP/1.1 Some((5000,") > 0,
        "the download goes on at byte 5000"
    );
}

#[test]
fn each_refusal_says_what_helps() {
    let folder = workshop();
    for (status, says, hint) in [
        (401, "refused access (401): there is nothing of this name, or", "check the name first"),
        (401, "refused access", "set HF_TOKEN"),
        (403, "refused access (403)", "set HF_TOKEN"),
        (404, "not on the hub at", "check the name"),
    ] {
        let hub = SmallHub::start(&folder.path().join("hub"), Fault::Status(status));
        let output = tokenize(folder.path(), &hub, &[]);

        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains(says) && said(&output).contains(hint),
            "{status}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_token_that_is_not_taken_and_a_mistyped_name_are_told_apart() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Status(401));

    let with_token = tokenize(folder.path(), &hub, &[("HF_TOKEN", "secret")]);
    let mistyped = Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(["tokenize", "--tokenizer", "openai-comunity/gpt2", "--out", "out"])
        .args(["--input", "hub/datasets/sample/tiny"])
        .current_dir(folder.path())
        .env("HF_ENDPOINT", &hub.address)
        .env("HF_HOME", folder.path().join("home"))
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();

    assert!(said(&with_token).contains("it does not take the token"), "{}", said(&with_token));
    assert!(said(&with_token).contains("check the name first"), "{}", said(&with_token));
    assert!(said(&mistyped).contains("`openai-community/gpt2` perhaps"), "{}", said(&mistyped));
}

#[test]
fn a_hub_that_accepts_and_never_answers_is_given_up() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Silent);
    let begun = Instant::now();

    let output = tokenize(folder.path(), &hub, &[("HF_HUB_DOWNLOAD_TIMEOUT", "0.5")]);

    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("is silent: no byte for 0.5 seconds"), "{}", said(&output));
    assert!(said(&output).contains("HF_HUB_DOWNLOAD_TIMEOUT"), "{}", said(&output));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(hub.requests("/tree/main"), 2, "it is asked once more");
}

#[test]
fn a_silent_hub_can_be_left_at_any_time() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Silent);
    let mut run =
        command(folder.path(), &hub).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while hub.requests("") == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "something is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }

    let asked = Instant::now();
    Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
    let status = run.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_download_that_lives_has_any_time() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Drips);
    let begun = Instant::now();

    let output = tokenize(folder.path(), &hub, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]);

    assert!(output.status.success(), "{}", said(&output));
    assert!(begun.elapsed() > Duration::from_secs(2), "each file takes longer than the limit");
    let blocks = hub.requests("parquet HTTP/1.1 Some((0,");
    assert_eq!(blocks, 3, "no file is asked for again");
}

#[test]
fn a_pointer_in_the_place_of_a_file_is_told() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Pointers);

    let output = tokenize(folder.path(), &hub, &[]);

    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("000_00000.parquet: the hub sends a Git LFS pointer"));
    assert!(said(&output).contains("hint: ") && said(&output).contains("HF_ENDPOINT"));
    assert!(!said(&output).contains("416"), "{}", said(&output));
}

#[test]
fn an_address_or_a_time_that_is_none_is_told_with_its_value() {
    let folder = workshop();
    let hub = SmallHub::nobody();
    for (name, value) in [("HF_ENDPOINT", "notaurl"), ("HF_HUB_DOWNLOAD_TIMEOUT", "soon")] {
        let output = tokenize(folder.path(), &hub, &[(name, value)]);

        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains(&format!("{name} is `{value}`, expected")),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn a_hub_that_is_not_there_says_how_to_work_offline() {
    let folder = workshop();
    let nobody = SmallHub::nobody();

    let output = tokenize(folder.path(), &nobody, &[]);

    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("cannot be fetched from http://127.0.0.1:9"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("to work offline, give local paths"), "{}", said(&output));
}

/// The names of the files that the cache has of the dataset.
fn cached(folder: &Path) -> Vec<String> {
    let cache = folder.join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    let mut names: Vec<String> = fs::read_dir(cache)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn two_runs_that_fetch_the_same_files_leave_them_whole() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Slow);
    let start = |out: &str| {
        into(folder.path(), &hub, out).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };

    let runs = ["one", "two", "three"].map(start);
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }

    let names = cached(folder.path());
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let fetched = "home/ratdata/datasets/some/corpus/main/sample/tiny";
        let fetched = fs::read(folder.path().join(fetched).join(&name)).unwrap();
        let whole = fs::read(folder.path().join("hub/datasets/sample/tiny").join(&name)).unwrap();
        assert!(fetched == whole, "{name}");
    }
    let blocks = hub.requests("000_00000.parquet HTTP/1.1 Some((0,");
    assert_eq!(blocks, 1, "one run fetches, the others wait for it");
}

#[test]
fn what_was_begun_of_another_revision_is_not_appended_to() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let cache = folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    fs::create_dir_all(&cache).unwrap();
    for begun in ["000_00000.parquet.0123456789abcdef.incomplete", "000_00000.parquet.incomplete"] {
        fs::File::create(cache.join(begun)).unwrap().write_all(&[7; 5000]).unwrap();
    }

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", said(&output));
    let whole = fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap();
    assert!(fs::read(cache.join("000_00000.parquet")).unwrap() == whole);
}

#[test]
fn a_file_that_has_another_checksum_is_not_kept() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::WrongChecksum);
    // The tokenizer is not what is tried here.
    let lain = folder.path().join("home/ratdata/models/some/tokenizer/main");
    fs::create_dir_all(&lain).unwrap();
    fs::copy(folder.path().join("demo/tokenizer/tokenizer.json"), lain.join("tokenizer.json"))
        .unwrap();

    let output = command(folder.path(), &hub).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("another length or checksum"), "{}", said(&output));
    assert!(said(&output).contains("\nhint: "), "{}", said(&output));
    assert!(!cached(folder.path()).iter().any(|name| name.ends_with(".parquet")));
}

#[test]
fn ctrl_c_stops_a_download_that_stalls_and_the_next_run_goes_on() {
    let folder = workshop();
    let large = folder.path().join("hub/datasets/sample/tiny/large.jsonl");
    let line = format!("{{\"text\": \"{}\"}}\n", "word ".repeat(2000));
    fs::File::create(large).unwrap().write_all(line.repeat(300).as_bytes()).unwrap();
    let stalling = SmallHub::start(&folder.path().join("hub"), Fault::Stalls);
    let mut run = command(folder.path(), &stalling)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while stalling.requests("large.jsonl HTTP/1.1 Some((1048576,") == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the second block is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }

    let asked = Instant::now();
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let status = run.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let whole = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let output = tokenize(folder.path(), &whole, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(whole.requests("large.jsonl HTTP/1.1 Some((0,"), 0, "it goes on behind block one");
}

/// Copies the dataset's first file, so that there are many.
fn many_files(folder: &Path) {
    let tiny = folder.join("hub/datasets/sample/tiny");
    for number in 10..30 {
        fs::copy(tiny.join("000_00000.parquet"), tiny.join(format!("000_{number:05}.parquet")))
            .unwrap();
    }
}

#[test]
fn an_estimate_fetches_a_few_files_of_many() {
    let folder = workshop();
    many_files(folder.path());
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let output = command(folder.path(), &hub).arg("--estimate").output().unwrap();

    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(cached(folder.path()).len(), 8);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("files      23") && text.contains("in 8 of 23 files"), "{text}");
}

#[test]
fn a_limit_of_documents_fetches_no_file_that_it_does_not_need() {
    let folder = workshop();
    many_files(folder.path());
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let limited = |limit: &str, out: &str| {
        let limit = ["--limit-docs", limit];
        let output = into(folder.path(), &hub, out).args(limit).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        fs::read(folder.path().join(out).join("manifest.json")).unwrap()
    };

    let first = limited("100", "a");
    assert_eq!(cached(folder.path()), ["000_00000.parquet"]);
    limited("1500", "b");
    assert_eq!(cached(folder.path()).len(), 2);
    assert!(tokenize(folder.path(), &hub, &[]).status.success());
    let again = limited("100", "c");

    assert!(first == again, "what else lies in the cache changes no byte");
}

#[test]
fn a_folder_may_have_a_dot_and_texts_are_data_too() {
    let folder = workshop();
    let data = folder.path().join("hub/datasets");
    fs::create_dir_all(data.join("v1.0")).unwrap();
    for (name, text) in [
        ("README.md", "the card"),
        ("v1.0/a.ndjson", "{\"text\": \"lines\"}\n"),
        ("v1.0/b.txt", "a text"),
        ("v1.0/README.md", "a card, too"),
        ("v1.0/b.md", "named by itself"),
        ("v1.0/test-00000-of-00001.jsonl", "{\"text\": \"held out\"}\n"),
    ] {
        fs::File::create(data.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let documents = |input: &str, out: &str| {
        let output = with_input(folder.path(), &hub, input, out).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["documents"].as_u64().unwrap()
    };

    assert_eq!(documents("hf://datasets/some/corpus/v1.0", "a"), 2);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/b.txt", "b"), 1);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/b.md", "md"), 1);
    assert_eq!(documents("hf://datasets/some/corpus/v1.0/*.jsonl", "test"), 1);
    fs::remove_dir_all(data.join("sample")).unwrap();
    assert_eq!(documents("hf://datasets/some/corpus", "c"), 2, "the card is no document");
}

#[test]
fn held_out_files_are_fetched_only_where_they_are_asked_for() {
    let folder = workshop();
    let data = folder.path().join("hub/datasets/sample/tiny");
    for name in ["test-00000-of-00001", "validation-00000-of-00001"] {
        let file = data.join(format!("{name}.jsonl"));
        fs::File::create(file).unwrap().write_all(b"{\"text\": \"held out\"}\n").unwrap();
    }
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let run = |out: &str, more: &[&str], offline: &str| {
        let mut command = into(folder.path(), &hub, out);
        let output = command.args(more).env("HF_HUB_OFFLINE", offline).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let manifest = fs::read(folder.path().join(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        (manifest["sources"].as_array().unwrap().len(), said(&output))
    };

    let (train, told) = run("train", &[], "0");
    assert_eq!((train, cached(folder.path()).len()), (3, 3));
    assert!(told.contains("left out by the split that their names tell: 2 (`test-"), "{told}");
    let (again, told) = run("again", &[], "1");
    assert_eq!(again, 3, "the record of the listing serves offline");
    assert!(told.contains("tell: 2 (`test-"), "{told}");
    let (all, told) = run("all", &["--split-files", "all"], "0");
    assert_eq!((all, cached(folder.path()).len()), (5, 5));
    assert!(!told.contains("left out"), "{told}");
    assert_eq!(run("test", &["--split-files", "test"], "1").0, 1);
}

#[test]
fn a_pointer_of_git_lfs_is_named() {
    let folder = workshop();
    let data = folder.path().join("hub/datasets/sample/tiny");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345\n";
    let file = data.join("000_00000.parquet");
    fs::remove_file(&file).unwrap();
    fs::File::create(file).unwrap().write_all(pointer.as_bytes()).unwrap();
    let whole = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let lying = SmallHub::start(&folder.path().join("hub"), Fault::Pointers);

    for (hub, says) in [(lying, "the hub sends a Git LFS pointer"), (whole, "Git LFS")] {
        let output = tokenize(folder.path(), &hub, &[]);

        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(says), "{}", said(&output));
        assert!(said(&output).contains("git lfs pull"), "{}", said(&output));
    }
}

#[test]
fn the_hub_says_which_token_ends_a_document() {
    let folder = workshop();
    let config = folder.path().join("hub/models/tokenizer_config.json");
    let text = br#"{"eos_token": {"content": "<s>"}, "bos_token": "</s>"}"#;
    fs::File::create(config).unwrap().write_all(text).unwrap();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", said(&output));
    let manifest = fs::read(folder.path().join("out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        (&manifest["tokenizer"]["eos"], &manifest["tokenizer"]["bos"]),
        (&1.into(), &2.into())
    );
}

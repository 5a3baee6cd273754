//! What a hub refuses, sends by mistake or never sends, and what is told of it.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use ratdata_tests::program::stderr;

use super::small_hub::{Fault, SmallHub};
use super::support::{cached, command, tokenize, workshop};

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
            stderr(&output).contains(says) && stderr(&output).contains(hint),
            "{status}: {}",
            stderr(&output)
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

    assert!(stderr(&with_token).contains("it does not take the token"), "{}", stderr(&with_token));
    assert!(stderr(&with_token).contains("check the name first"), "{}", stderr(&with_token));
    assert!(stderr(&mistyped).contains("`openai-community/gpt2` perhaps"), "{}", stderr(&mistyped));
}

#[test]
fn a_hub_that_accepts_and_never_answers_is_given_up() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Silent);
    let begun = Instant::now();

    let output = tokenize(folder.path(), &hub, &[("HF_HUB_DOWNLOAD_TIMEOUT", "0.5")]);

    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("is silent: no byte for 0.5 seconds"), "{}", stderr(&output));
    assert!(stderr(&output).contains("HF_HUB_DOWNLOAD_TIMEOUT"), "{}", stderr(&output));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(hub.requests("/tree/main"), 2, "it is asked once more");
}

#[test]
fn a_pointer_in_the_place_of_a_file_is_told() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Pointers);

    let output = tokenize(folder.path(), &hub, &[]);

    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("000_00000.parquet: the hub sends a Git LFS pointer"));
    assert!(stderr(&output).contains("hint: ") && stderr(&output).contains("HF_ENDPOINT"));
    assert!(!stderr(&output).contains("416"), "{}", stderr(&output));
}

#[test]
fn an_address_or_a_time_that_is_none_is_told_with_its_value() {
    let folder = workshop();
    let hub = SmallHub::nobody();
    for (name, value) in [("HF_ENDPOINT", "notaurl"), ("HF_HUB_DOWNLOAD_TIMEOUT", "soon")] {
        let output = tokenize(folder.path(), &hub, &[(name, value)]);

        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(&format!("{name} is `{value}`, expected")),
            "{}",
            stderr(&output)
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
        stderr(&output).contains("cannot be fetched from http://127.0.0.1:9"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("to work offline, give local paths"), "{}", stderr(&output));
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
    assert!(stderr(&output).contains("another length or checksum"), "{}", stderr(&output));
    assert!(stderr(&output).contains("\nhint: "), "{}", stderr(&output));
    assert!(!cached(folder.path()).iter().any(|name| name.ends_with(".parquet")));
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

    for hub in [lying, whole] {
        let output = tokenize(folder.path(), &hub, &[]);

        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("the hub sends a Git LFS pointer"), "{}", stderr(&output));
        assert!(stderr(&output).contains("git lfs pull"), "{}", stderr(&output));
    }
}

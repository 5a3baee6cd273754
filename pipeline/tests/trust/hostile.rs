//! Hostile surroundings: pipes in the place of files, text that steers, a user who has enough.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use super::support::{change, first_bin, mend, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::run;

/// Starts the program and leaves it running.
fn start(arguments: &[&str], folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns what the program said, where it ends by itself.
fn ends(mut child: Child, within: Duration) -> Option<Output> {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if child.try_wait().unwrap().is_some() {
            return Some(child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

#[test]
fn a_pipe_in_the_place_of_a_shard_is_refused_and_not_waited_for() {
    let folder = workshop();
    let bin = first_bin(folder.path());
    fs::remove_file(&bin).unwrap();
    mknodat(CWD, &bin, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    for arguments in [
        &["inspect", "demo/tokens"][..],
        &["report", "demo/tokens"],
        &["verify", "demo/tokens"],
        &["trace", "demo/tokens", "--token", "3"],
        &["export", "demo/tokens", "--to", "npy", "--out", "npy"],
    ] {
        let ended = ends(start(arguments, folder.path()), Duration::from_mins(1));

        let output = ended.unwrap_or_else(|| panic!("{arguments:?} waits"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains("000_00000.bin") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_pass_over_tokens_stops_when_the_user_asks() {
    let folder = workshop();
    let root = folder.path();
    // Large bins of nothing: much to read, and no room on the disk.
    let large = 3_000_000_000_u64;
    let bin = first_bin(root);
    fs::File::options().write(true).open(&bin).unwrap().set_len(large).unwrap();
    fs::File::create(root.join("large.bin")).unwrap().set_len(large).unwrap();
    mend(&root.join("demo/tokens"), |manifest| {
        manifest["splits"]["train"]["shards"][0]["bin"]["bytes"] = large.into();
    });

    for arguments in
        [&["inspect", "large.bin"][..], &["report", "large.bin"], &["verify", "demo/tokens"]]
    {
        let child = start(arguments, root);
        std::thread::sleep(Duration::from_millis(500));
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let ended = ends(child, Duration::from_secs(20));

        let output = ended.unwrap_or_else(|| panic!("{arguments:?} still runs"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{arguments:?}: {said}");
    }
}

#[test]
fn text_of_files_does_not_steer_the_terminal() {
    let folder = workshop();
    let root = folder.path();
    let steers = "x\u{1b}]0;taken\u{7}\u{9b}31m";
    change(&root.join("demo/tokens/manifest.json"), |bytes| {
        let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        manifest["tokenizer"]["name"] = steers.into();
        let train = manifest["splits"]["train"].take();
        manifest["splits"] = serde_json::json!({ steers: train });
        *bytes = serde_json::to_vec(&manifest).unwrap();
    });
    let header =
        format!("{{{:?}:{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}}}", "\u{9b}a");
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.push(0);
    write(&root.join("w.safetensors"), &weights);

    for arguments in [
        &["inspect", "demo/tokens"][..],
        &["inspect", "demo/tokens", "--json"],
        &["inspect", "w.safetensors"],
        &["inspect", "w.safetensors", "--json"],
        &["verify", "demo/tokens"],
        &["trace", "demo/tokens", "--token", "1"],
    ] {
        let output = run(root, arguments);

        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let steering = said.chars().find(|&char| char.is_control() && char != '\n');
        assert_eq!(steering, None, "{arguments:?}: {said:?}");
        assert!(!said.trim().is_empty(), "{arguments:?}");
    }
}

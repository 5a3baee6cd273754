//! Seeing and trusting artifacts: inspect, verify and trace, on whole ones and on hostile ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn ratdata(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"))
        .output()
        .unwrap()
}

fn json(arguments: &[&str], folder: &Path) -> Value {
    let output = ratdata(&[arguments, &["--json"]].concat(), folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with the sample in it: `demo/tokens` and its tokenizer beside it.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["sample", "--out", "demo", "--quiet"][..],
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
        let made = ratdata(arguments, folder.path());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    folder
}

fn first_bin(folder: &Path) -> PathBuf {
    folder.join("demo/tokens/shards/demo-train-000_00000.bin")
}

/// Changes a file in place.
fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    use std::io::Write;
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::File::create(path).unwrap().write_all(&bytes).unwrap();
}

#[test]
fn an_inspection_counts_what_numpy_would() {
    let folder = workshop();

    let seen = json(&["inspect", "demo/tokens"], folder.path());

    let train = seen["splits"].as_array().unwrap().iter().find(|s| s["name"] == "train").unwrap();
    let mut ids: Vec<u16> = Vec::new();
    let mut ends = 0;
    for entry in fs::read_dir(folder.path().join("demo/tokens/shards")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().contains("-train-") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        match path.extension().unwrap().to_str() {
            Some("bin") => ids.extend(bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b))),
            _ => ends += bytes.len() / 8,
        }
    }
    let mut counts = vec![0_u64; 1 << 16];
    for &id in &ids {
        counts[usize::from(id)] += 1;
    }
    let (most, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count).unwrap();
    assert_eq!(train["tokens"].as_u64().unwrap(), ids.len() as u64);
    assert_eq!(train["documents"].as_u64().unwrap(), ends as u64);
    assert_eq!(train["ids"]["used"], counts.iter().filter(|&&count| count > 0).count());
    assert_eq!(train["ids"]["most"][0]["id"], most);
    assert_eq!(train["ids"]["most"][0]["count"], *count);
    assert!(train["ids"]["most"][0]["piece"].is_string(), "the tokenizer lies beside it");
    assert_eq!(train["stream"]["ended"], ends);
}

#[test]
fn somebody_elses_bin_can_be_seen_and_searched() {
    let folder = workshop();
    fs::copy(first_bin(folder.path()), folder.path().join("their.bin")).unwrap();
    let arguments = ["inspect", "their.bin", "--tokenizer", "demo/tokenizer", "--find", "the"];

    let found = ratdata(&arguments, folder.path());

    let text = String::from_utf8(found.stdout).unwrap();
    assert!(found.status.success());
    assert!(text.contains("bin · token bins"), "{text}");
    let bare = ratdata(&["inspect", "their.bin", "--decode", "1"], folder.path());
    assert_eq!(bare.status.code(), Some(2));
}

#[test]
fn a_whole_artifact_is_verified_against_its_sources() {
    let folder = workshop();
    let arguments = ["verify", "demo/tokens", "--retokenize", "20%", "--input", "demo/corpus"];

    let verified = json(&arguments, folder.path());

    assert!(verified["documents_retokenized"].as_u64().unwrap() > 500);
}

/// Something done to a file's bytes.
type Change = Box<dyn Fn(&mut Vec<u8>)>;

#[test]
fn whatever_is_changed_is_found_and_named() {
    let bin = "shards/demo-train-000_00000.bin";
    let index = "shards/demo-train-000_00000.idx";
    let manifest = "manifest.json";
    let replace = |from: &'static str, to: &'static str| -> Change {
        Box::new(move |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from));
            *bytes = text.replacen(from, to, 1).into_bytes();
        })
    };
    let changes: Vec<(&str, &str, Change)> = vec![
        (bin, "BLAKE3", Box::new(|bytes| bytes[100] ^= 1)),
        (bin, "bytes, expected", Box::new(|bytes| bytes.truncate(bytes.len() / 2))),
        (bin, "bytes, expected", Box::new(|bytes| bytes.push(0))),
        (index, "BLAKE3", Box::new(|bytes| bytes[8..16].fill(0xff))),
        (index, "bytes, expected", Box::new(Vec::clear)),
        (manifest, "not a manifest", Box::new(|bytes| bytes.truncate(200))),
        (manifest, "not inside the artifact", replace("shards/demo-train", "../../demo-train")),
        (manifest, "format version", replace("\"format_version\": 1", "\"format_version\": 9")),
        (manifest, "", replace("\"documents\": ", "\"documents\": 9999999999")),
        (manifest, "", replace("\"tokens\": ", "\"tokens\": 18446744073")),
    ];
    let folder = workshop();
    for (file, says, change_bytes) in changes {
        let path = folder.path().join("demo/tokens").join(file);
        let whole = fs::read(&path).unwrap();
        change(&path, |bytes| change_bytes(bytes));

        let verified = ratdata(&["verify", "demo/tokens"], folder.path());
        let inspected = ratdata(&["inspect", "demo/tokens"], folder.path());

        let said = String::from_utf8(verified.stderr).unwrap();
        assert_eq!(verified.status.code(), Some(3), "{file}: {said}");
        assert!(said.starts_with("error: ") && said.contains(says), "{file}: {said}");
        let said = String::from_utf8(inspected.stderr).unwrap();
        assert!(!said.contains("panicked"), "{file}: {said}");
        change(&path, |bytes| *bytes = whole);
    }
    assert!(ratdata(&["verify", "demo/tokens"], folder.path()).status.success());
}

#[test]
fn a_document_that_differs_from_its_source_is_named() {
    let folder = workshop();
    // The bins of another corpus under this one's manifest: checksums mended, so that only
    // encoding again can tell.
    let path = first_bin(folder.path());
    change(&path, |bytes| bytes.swap(0, 4));
    let manifest = folder.path().join("demo/tokens/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let sum = ratdata_schemas::Checksum::of_file(&path).unwrap();
    value["splits"]["train"]["shards"][0]["bin"]["blake3"] = sum.as_str().into();
    change(&manifest, |bytes| *bytes = serde_json::to_vec(&value).unwrap());

    let verified = ratdata(
        &["verify", "demo/tokens", "--retokenize", "100%", "--input", "demo/corpus"],
        folder.path(),
    );

    let said = String::from_utf8(verified.stderr).unwrap();
    assert_eq!(verified.status.code(), Some(3), "{said}");
    assert!(said.contains("document 0 of `train`: token 0"), "{said}");
}

#[test]
fn a_token_is_led_back_to_its_characters() {
    let folder = workshop();
    let root = folder.path();
    assert!(
        ratdata(&["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64"], root)
            .status
            .success()
    );

    let by_token =
        json(&["trace", "demo/tokens", "--token", "5000", "--input", "demo/corpus"], root);
    let by_row = json(&["trace", "pack", "--row", "3", "--column", "9"], root);
    let again = by_row["token"].to_string();
    let same = json(&["trace", "demo/tokens", "--token", &again], root);

    let piece = by_token["piece"].as_str().unwrap();
    let context = by_token["context"].as_str().unwrap();
    let (_, rest) = context.split_once('⟦').unwrap();
    let (inside, _) = rest.split_once('⟧').unwrap();
    assert_eq!(piece.replace('▁', " ").trim(), inside.trim());
    assert!(by_token["url"].as_str().unwrap().starts_with("http"));
    assert_eq!(same["document"], by_row["document"]);
    assert_eq!(same["id"], by_row["id"]);
    let beyond = ratdata(&["trace", "demo/tokens", "--token", "99999999"], root);
    assert_eq!(beyond.status.code(), Some(2));
}

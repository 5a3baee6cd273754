//! `ratdata card` and `ratdata manual`: what an artifact and the program say of themselves.

use std::fs;

use ratdata_tests::program::{run, stderr, succeed, write_sample_with_bins};
use serde_json::Value;
use sha2::{Digest, Sha256};

const ABOUT: [&str; 8] = [
    "--title",
    "Rats & \"cats\"",
    "--license",
    "cc0-1.0",
    "--language",
    "en,fr",
    "--url",
    "https://h/d",
];

#[test]
fn a_card_says_what_the_manifest_says_and_names_every_file_with_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample_with_bins(root);

    succeed(root, &[&["card", "demo/tokens", "--out", "card"], &ABOUT[..]].concat());

    let read = |path: &str| fs::read(root.join(path)).unwrap();
    let manifest: Value = serde_json::from_slice(&read("demo/tokens/manifest.json")).unwrap();
    let metadata: Value = serde_json::from_slice(&read("card/croissant.json")).unwrap();
    let files = metadata["distribution"].as_array().unwrap();
    assert_eq!(files.len(), 12, "a bin and an index of each of six shards");
    for file in files {
        let path = file["@id"].as_str().unwrap();
        let hash = Sha256::digest(read(&format!("demo/tokens/{path}")));
        let hash = hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        assert_eq!(file["sha256"], hash, "{path}");
        assert_eq!(file["contentUrl"], format!("https://h/d/resolve/main/{path}"));
    }
    let documents: u64 = manifest["splits"]["train"]["shards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shard| shard["documents"].as_u64().unwrap())
        .sum();
    let splits = metadata["recordSet"][0]["data"].as_array().unwrap();
    assert_eq!(splits[0]["splits/name"], "train");
    assert_eq!(splits[0]["splits/records"], documents);
    let page = String::from_utf8(read("card/README.md")).unwrap();
    assert!(page.starts_with("---\npretty_name: \"Rats & \\\"cats\\\"\"\nlicense: \"cc0-1.0\"\n"));
    assert!(page.contains("| train | documents in token bins | 3,582 |"), "{page}");
    assert!(page.contains("seq_len=1024"));
}

#[test]
fn the_same_artifact_has_the_same_card_and_another_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample_with_bins(root);
    let card = ["card", "demo/tokens", "--out", "card"];
    succeed(root, &card);
    let before = fs::read(root.join("card/README.md")).unwrap();
    succeed(root, &card);
    assert_eq!(fs::read(root.join("card/README.md")).unwrap(), before);

    let refused = run(root, &[&card[..], &["--title", "another"]].concat());

    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("README.md: holds other cards"), "{}", stderr(&refused));
    assert_eq!(fs::read(root.join("card/README.md")).unwrap(), before);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let help = succeed(folder.path(), &["--help"]);
    let list = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&command| command != "help")
        .collect();

    let listed = succeed(folder.path(), &["manual", "--out", "man1"]);

    assert!(commands.len() > 20, "{commands:?}");
    assert_eq!(listed.lines().count(), commands.len() + 1);
    for command in commands {
        let page = folder.path().join(format!("man1/ratdata-{command}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("SYNOPSIS"), "{}", page.display());
    }
}

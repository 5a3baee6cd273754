//! Seeing: what an inspection counts and shows.

use std::fs;
use std::path::Path;

use super::support::{first_bin, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::{json, run};

#[test]
fn an_inspection_counts_what_numpy_would() {
    let folder = workshop();

    let seen = json(folder.path(), &["inspect", "demo/tokens"]);

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
    assert!(train["ids"]["most"][0]["piece"].is_string(), "the tokenizer is next to it");
    assert_eq!(train["stream"]["ended"], ends);
}

#[test]
fn somebody_elses_bin_can_be_seen_and_searched() {
    let folder = workshop();
    fs::copy(first_bin(folder.path()), folder.path().join("their.bin")).unwrap();
    let arguments = ["inspect", "their.bin", "--tokenizer", "demo/tokenizer", "--find", "the"];

    let found = run(folder.path(), &arguments);

    let text = String::from_utf8(found.stdout).unwrap();
    assert!(found.status.success());
    assert!(text.contains("bin · token bins"), "{text}");
    let bare = run(folder.path(), &["inspect", "their.bin", "--decode", "1"]);
    assert_eq!(bare.status.code(), Some(2));
}

/// Copies the first shard without its index: somebody else's bin.
fn bare_bin(root: &Path) {
    fs::copy(first_bin(root), root.join("their.bin")).unwrap();
}

fn said(arguments: &[&str], root: &Path) -> String {
    let output = run(root, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_bin_without_an_index_shows_documents_by_eos_and_finds_text() {
    let folder = workshop();
    let root = folder.path();
    bare_bin(root);
    let known = ["inspect", "their.bin", "--tokenizer", "demo/tokenizer"];

    let shown = said(&[&known[..], &["--decode", "2"]].concat(), root);
    let found = said(&[&known[..], &["--find", "cases"]].concat(), root);
    let page = ["report", "their.bin", "--tokenizer", "demo/tokenizer", "--json"];
    let page: serde_json::Value = serde_json::from_str(&said(&page, root)).unwrap();

    assert_eq!(shown.matches("── bin document, ").count(), 2, "{shown}");
    assert_eq!(found.matches("⟦cases⟧").count(), 10, "{found}");
    assert_eq!(page["samples"], 4);
}

#[test]
fn without_a_tokenizer_documents_are_unknown_and_that_is_said() {
    let folder = workshop();
    let root = folder.path();
    bare_bin(root);

    let seen = json(root, &["inspect", "their.bin"]);
    let text = said(&["inspect", "their.bin"], root);

    let bin = &seen["splits"][0];
    assert!(bin["documents"].is_null() && bin["stream"]["ended"].is_null(), "{bin}");
    assert!(text.contains("EOS is not known") && !text.contains("nothing odd"), "{text}");
}

#[test]
fn a_bin_of_an_artifact_is_seen_with_its_manifest() {
    let folder = workshop();
    let root = folder.path();

    let seen = json(root, &["inspect", first_bin(root).to_str().unwrap()]);

    assert_eq!(seen["splits"][0]["name"], "train");
    assert_eq!(seen["splits"][0]["shards"].as_array().unwrap().len(), 1);
    assert!(seen["tokenizer"].is_string());
}

#[test]
fn documents_that_lack_eos_and_those_of_nothing_else_are_told() {
    let folder = workshop();
    let root = folder.path();
    // Documents of 3, 1 and 4 tokens; EOS is 2. The second is nothing but EOS, the last has none.
    let ids: [u16; 8] = [5, 6, 2, 2, 7, 8, 9, 9];
    write(&root.join("x.bin"), ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>());
    let ends = [3_u64, 4, 8];
    write(&root.join("x.idx"), ends.iter().flat_map(|end| end.to_le_bytes()).collect::<Vec<u8>>());

    let seen = json(root, &["inspect", "x.bin", "--tokenizer", "demo/tokenizer"]);

    let warnings = seen["warnings"].to_string();
    assert!(warnings.contains("1 documents are empty"), "{warnings}");
    assert!(warnings.contains("1 of 3 documents (33.33%) do not end with EOS"), "{warnings}");
    assert!(warnings.contains("has 4 tokens"), "{warnings}");
}

/// Makes rows of questions and answers, two of which are the same and in both splits.
fn pairs(root: &Path, more: &[&str]) {
    let line = |n: u32| format!("{{\"q\": \"what is number {n}?\", \"a\": \"it is {n}\"}}\n");
    let lines = |numbers: &[u32]| numbers.iter().map(|&n| line(n)).collect::<String>();
    write(&root.join("a.jsonl"), lines(&[1, 2, 3, 4, 4]).as_bytes());
    write(&root.join("b.jsonl"), lines(&[4, 9]).as_bytes());
    let task = "prompt = \"Q: {q}\\nA:\"\n\
        [splits.train]\nsource = \"a.jsonl\"\nanswers = [\"a\"]\nshuffle = 5\n\
        [splits.validation]\nsource = \"b.jsonl\"\nanswers = [\"a\"]\n";
    write(&root.join("task.toml"), task.as_bytes());
    let arguments = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer"];
    let rest = ["--out", "rows", "--max-length", "64", "--quiet"];
    said(&[&arguments[..], &rest, more].concat(), root);
}

#[test]
fn rows_show_their_documents_as_streams_do() {
    let folder = workshop();
    let root = folder.path();
    pairs(root, &[]);

    let seen = json(root, &["inspect", "rows"]);
    let found =
        said(&["inspect", "rows", "--tokenizer", "demo/tokenizer", "--find", "number 9"], root);

    let train = seen["splits"].as_array().unwrap().iter().find(|s| s["name"] == "train").unwrap();
    assert_eq!(train["documents"], 5);
    assert_eq!(train["stream"]["ended"], 5);
    assert_eq!(train["stream"]["duplicate_documents"], 1);
    assert!(train["lengths"]["powers"].as_array().unwrap().iter().any(|bin| bin[2] == 5));
    let warnings = seen["warnings"].to_string();
    assert!(warnings.contains("1 different documents are in both"), "{warnings}");
    assert!(found.contains("val row 1, column"), "{found}");
}

#[test]
fn a_pack_has_the_bytes_a_token_of_its_bins() {
    let folder = workshop();
    let root = folder.path();
    said(&["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64", "--quiet"], root);

    let pack = json(root, &["inspect", "pack"]);
    let bins = json(root, &["inspect", "demo/tokens"]);

    let ratio = |seen: &serde_json::Value| seen["splits"][0]["bytes_per_token"].as_f64().unwrap();
    assert!((ratio(&pack) - ratio(&bins)).abs() < 1e-9);
}

#[test]
fn a_pair_without_a_manifest_is_seen_as_rows() {
    let folder = workshop();
    let root = folder.path();
    pairs(root, &[]);
    let mut names: Vec<_> = fs::read_dir(root.join("rows"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("train-64-") && !name.contains("lengths"))
        .collect();
    names.sort();
    fs::create_dir(root.join("theirs")).unwrap();
    for (name, ending) in names.iter().zip(["inputs", "labels"]) {
        let to = root.join(format!("theirs/q-{ending}.bin"));
        fs::copy(root.join("rows").join(name), to).unwrap();
    }

    let seen = json(root, &["inspect", "theirs/q-inputs.bin", "--row-len", "64"]);
    let unsaid = run(root, &["inspect", "theirs/q-inputs.bin"]);

    let pair = &seen["splits"][0];
    assert_eq!((&pair["layout"], &pair["rows"]["rows"]), (&"pairs".into(), &5.into()));
    assert_eq!(unsaid.status.code(), Some(2));
}

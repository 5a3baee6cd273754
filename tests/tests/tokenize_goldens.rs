//! The whole job against the reference's recorded results: both semantics, both splits, merged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::{DocIndex, Manifest, SplitRecord};
use ratdata_tests::{shared, skipped};
use ratdata_tokenize::corpus::{Job, Outcome, Progress, Tokenize};
use ratdata_tokenize::source::find_inputs;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::Value;
use sha2::{Digest, Sha256};

const SEMANTICS: [(&str, &str); 2] =
    [("tokenizer_json", "tokenizer.json"), ("sentencepiece", "tokenizer.model")];

fn run(tokenizer: &Path, input: &Path, out: &Path, merge: bool, threads: usize) -> Manifest {
    let tokenizer = Tokenizer::load(tokenizer).unwrap();
    let files = find_inputs(&[input.display().to_string()]).unwrap();
    let config = Tokenize { merge, ..Tokenize::default() };
    let Outcome::Open(job) = Job::open(config, tokenizer, "llama", files, out, false).unwrap()
    else {
        unreachable!("the folder is new")
    };
    job.run(|_| true, threads, &Progress::default(), &AtomicBool::new(false)).unwrap();
    job.commit(&AtomicBool::new(false)).unwrap()
}

fn sha256(path: &Path) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn every_recorded_hash_is_reproduced() {
    let Some(shared) = shared() else { return };
    for name in ["fineweb_edu", "edge_cases"] {
        let golden = fs::read(shared.join(format!("golden/{name}.json"))).unwrap();
        let golden: Value = serde_json::from_slice(&golden).unwrap();
        for (semantics, file) in SEMANTICS {
            let tokenizer = shared.join("tokenizers/llama").join(file);
            let input = shared.join("data").join(name);
            let folder = tempfile::tempdir().unwrap();

            let apart = folder.path().join("apart");
            run(&tokenizer, &input, &apart, false, 4);
            for (stem, expected) in golden["files"].as_object().unwrap() {
                for split in ["train", "val"] {
                    let bin = apart.join(format!("shards/llama-{split}-{stem}.bin"));
                    let expected = &expected[semantics][split];
                    assert_eq!(
                        sha256(&bin),
                        expected["sha256"],
                        "{name} {semantics} {stem} {split}"
                    );
                    let index = DocIndex::open(&bin.with_extension("idx")).unwrap();
                    assert_eq!(index.len() as u64, expected["docs"]);
                    index.check(expected["tokens"].as_u64().unwrap()).unwrap();
                }
            }

            let merged = folder.path().join("merged");
            let manifest = run(&tokenizer, &input, &merged, true, 3);
            for split in ["train", "val"] {
                let expected = &golden["merged"][semantics][format!("llama-{split}")];
                let bin = merged.join(format!("llama-{split}.bin"));
                assert_eq!(sha256(&bin), expected["sha256"], "{name} {semantics} merged {split}");
                let SplitRecord::Shards { shards } = &manifest.splits[split] else {
                    unreachable!("tokenize makes shards")
                };
                assert_eq!(shards[0].tokens, expected["tokens"]);
            }
            assert!(!merged.join("shards").exists(), "merged shards are given up");
        }
    }
}

#[test]
fn a_share_of_the_files_at_a_time_gives_the_same_bytes() {
    let Some(shared) = shared() else { return };
    let input = shared.join("data/fineweb_edu");
    let Ok(files) = find_inputs(&[input.display().to_string()]) else {
        return skipped("no FineWeb-Edu sample among the shared inputs");
    };
    let tokenizer = Tokenizer::load(shared.join("tokenizers/llama")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    run(&shared.join("tokenizers/llama"), &input, &whole, false, 2);

    let shares = folder.path().join("shares");
    for share in [2, 0, 1] {
        let opened = Job::open(
            Tokenize::default(),
            tokenizer.clone(),
            "llama",
            files.clone(),
            &shares,
            false,
        );
        let Outcome::Open(job) = opened.unwrap() else { unreachable!("not committed yet") };
        job.run(|number| number % 3 == share, 1, &Progress::default(), &AtomicBool::new(false))
            .unwrap();
        if share == 1 {
            job.commit(&AtomicBool::new(false)).unwrap();
        }
    }

    let manifest = |folder: &Path| fs::read(folder.join("manifest.json")).unwrap();
    assert_eq!(manifest(&shares), manifest(&whole));
}

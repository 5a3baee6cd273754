//! The five tasks against the reference's recorded pairs and answers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::recipe::{Form, TASKS, Task, Truncate};
use ratdata_schemas::{Finished, IGNORE_INDEX, Row, RowSet};
use ratdata_tests::shared;
use ratdata_tokenize::hub::FetchProgress;
use ratdata_tokenize::sft::{SftJob, SftProgress};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::Value;
use sha2::{Digest, Sha256};

struct Silent;

impl FetchProgress for Silent {
    fn fetched(&self, _: &str, _: u64, _: u64) {}
}

fn run(shared: &Path, task: &str, out: &Path, threads: usize) -> Finished {
    let tokenizer = Tokenizer::load(shared.join("tokenizers/llama/tokenizer.model")).unwrap();
    let job = SftJob {
        task: Task::named(task).unwrap(),
        splits: ["train", "validation", "test"].map(String::from).to_vec(),
        input: Some(shared.join("data/sft")),
        max_length: 4096,
        truncate: Truncate::Middle,
        form: Form::Pairs,
        skip_bad: false,
        threads,
        out: out.to_owned(),
        force: false,
        share: None,
    };
    let never = AtomicBool::new(false);
    job.run(&tokenizer, "llama", &Silent, &SftProgress::default(), &never).unwrap()
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
fn every_recorded_pair_is_reproduced() {
    let Some(shared) = shared() else { return };
    let golden = fs::read(shared.join("golden/sft.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let mut compared = 0;
    let recorded = |task: &str| golden.get(format!("{task}/train/4096")).is_some();
    for (task, _) in TASKS.iter().filter(|(task, _)| recorded(task)) {
        let folder = tempfile::tempdir().unwrap();
        run(&shared, task, folder.path(), 4);
        for split in ["train", "validation", "test"] {
            let expected = &golden[format!("{task}/{split}/4096")];
            for kind in ["inputs", "labels"] {
                let path = folder.path().join(format!("llama-{split}-4096-{kind}.bin"));
                assert_eq!(
                    sha256(&path),
                    expected[format!("{kind}_sha256")],
                    "{task} {split} {kind}"
                );
                compared += 1;
            }
            if let Some(answers) = expected["test_jsonl_sha256"].as_str() {
                assert_eq!(sha256(&folder.path().join("test.jsonl")), answers, "{task}");
                compared += 1;
            }
            let name = if split == "validation" { "val" } else { split };
            let rows = RowSet::open(folder.path(), name).unwrap();
            assert_eq!(rows.num_rows(), expected["rows"].as_u64().unwrap());
            let mut row = Row::default();
            let mut kept = 0;
            for number in 0..rows.num_rows() {
                rows.read(number, &mut row);
                kept += row.labels.iter().filter(|&&label| label != IGNORE_INDEX).count();
            }
            assert_eq!(kept as u64, expected["labels_kept"].as_u64().unwrap());
            rows.read(0, &mut row);
            assert_eq!(
                u64::from(row.document_ends[0]),
                expected["first_row_nonpad"].as_u64().unwrap()
            );
        }
    }
    assert_eq!(compared, 35);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_and_a_second_run_does_nothing() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, three) = (folder.path().join("1"), folder.path().join("3"));

    let first = run(&shared, "narrativeqa_text", &one, 1);
    let second = run(&shared, "narrativeqa_text", &three, 3);
    let again = run(&shared, "narrativeqa_text", &three, 2);

    assert_eq!(first.manifest, second.manifest);
    assert_eq!(again.manifest, second.manifest);
    assert!(!again.made);
}

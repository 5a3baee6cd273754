//! The engine against the shared goldens and against its oracles, on all shared texts.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ratdata_tests::shared;
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn texts(path: &Path) -> Vec<String> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build();
    let mut texts = Vec::new();
    for batch in reader.unwrap() {
        let column = arrow::compute::cast(
            batch.unwrap().column_by_name("text").unwrap(),
            &arrow::datatypes::DataType::LargeUtf8,
        )
        .unwrap();
        let column = column.as_string::<i64>();
        texts.extend((0..column.len()).map(|row| column.value(row).to_owned()));
    }
    texts
}

#[test]
fn files_in_order_have_the_recorded_hashes() {
    let Some(shared) = shared() else { return };
    for (golden, folder) in [("fineweb_edu", "fineweb_edu"), ("edge_cases", "edge_cases")] {
        let golden = std::fs::read(shared.join(format!("golden/{golden}.json"))).unwrap();
        let golden: Value = serde_json::from_slice(&golden).unwrap();
        for (file, expected) in golden["files"].as_object().unwrap() {
            let texts = texts(&shared.join(format!("data/{folder}/{file}.parquet")));
            for (semantics, name) in
                [("tokenizer_json", "tokenizer.json"), ("sentencepiece", "tokenizer.model")]
            {
                let tokenizer =
                    Tokenizer::load(&shared.join("tokenizers/llama").join(name)).unwrap();
                let mut encoder = tokenizer.encoder(SpecialInText::Parse);
                let mut ids: Vec<u16> = Vec::new();
                for text in &texts {
                    encoder.encode_into(text, &mut ids).unwrap();
                    ids.push(2);
                }

                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
                let expected = &expected[semantics]["file_order"];
                assert_eq!(
                    ids.len() as u64,
                    expected["tokens"].as_u64().unwrap(),
                    "{file} {semantics}"
                );
                let hash: String =
                    Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(hash, expected["sha256"].as_str().unwrap(), "{file} {semantics}");
            }
        }
    }
}

#[test]
fn the_engine_equals_its_oracle_on_every_shared_text() {
    let Some(shared) = shared() else { return };
    let all: Vec<String> =
        ["fineweb_edu/000_00000", "edge_cases/edge_cases", "fineweb_edu/001_00000"]
            .iter()
            .flat_map(|file| texts(&shared.join(format!("data/{file}.parquet"))))
            .collect();
    let files = [
        "llama/tokenizer.json",
        "llama/tokenizer.model",
        "mistral-v1/tokenizer.json",
        "mistral-v1/tokenizer.model",
        "gpt2/tokenizer.json",
    ];
    std::thread::scope(|scope| {
        for file in files {
            let (shared, all) = (&shared, &all);
            scope.spawn(move || agree(shared, file, all));
        }
    });
}

fn agree(shared: &Path, file: &str, texts: &[String]) {
    let tokenizer = Tokenizer::load(&shared.join("tokenizers").join(file)).unwrap();
    assert_eq!(tokenizer.uncovered(), None, "{file}");
    let oracle = tokenizer.oracle();
    for specials in [SpecialInText::Parse, SpecialInText::Plain] {
        let mut encoder = tokenizer.encoder(specials);
        for text in texts {
            let mut ids: Vec<u32> = Vec::new();
            encoder.encode_into(text, &mut ids).unwrap();
            if ids != oracle.encode(text, specials).unwrap() {
                let line = text.lines().find(|line| {
                    let mut ids: Vec<u32> = Vec::new();
                    encoder.encode_into(line, &mut ids).unwrap();
                    ids != oracle.encode(line, specials).unwrap()
                });
                panic!("{file} {specials:?} differs, first in line {line:?}");
            }
        }
    }
}

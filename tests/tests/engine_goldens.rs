//! The engine against its oracles: on our own documentation with small vocabularies, and on all shared
//! texts with real ones.
//!
//! `RATDATA_TOKENIZERS=DIR` adds every `DIR/NAME/tokenizer.json` to the real ones.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, GenericStringArray, OffsetSizeTrait};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ratdata_tests::families::{Family, gpt2_with_pattern};
use ratdata_tests::small_tokenizers::{SmallTokenizer, small_tokenizers, training_text};
use ratdata_tests::{given_tokenizers, shared};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};

fn texts(path: &Path) -> Vec<String> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build();
    let mut texts = Vec::new();
    for batch in reader.unwrap() {
        let batch = batch.unwrap();
        let column = batch.column_by_name("text").unwrap();
        match column.data_type() {
            DataType::LargeUtf8 => texts.extend(strings(column.as_string::<i64>())),
            _ => texts.extend(strings(column.as_string::<i32>())),
        }
    }
    texts
}

fn strings<O: OffsetSizeTrait>(column: &GenericStringArray<O>) -> impl Iterator<Item = String> {
    column.iter().map(|text| text.unwrap_or_default().to_owned())
}

#[test]
fn every_form_of_the_engine_equals_its_oracle_on_our_documentation() {
    let text = training_text();
    let lines = text.lines().map(str::to_owned);
    let texts: Vec<String> = lines.chain(text.split("\n\n").map(str::to_owned)).collect();
    for SmallTokenizer { name, file } in small_tokenizers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();

        agree(&name, &path, &texts);
    }
}

#[test]
fn a_vocabulary_whose_unknown_characters_vanish_is_run_by_the_stages() {
    let mut file = small_tokenizers().swap_remove(0).file;
    file["model"]["byte_fallback"] = false.into();
    file["model"]["unk_token"] = serde_json::Value::Null;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();

    let tokenizer = Tokenizer::load(&path).unwrap();

    // The space and the letter become neighbours, so the engine's cuts would be wrong.
    let ids = tokenizer.encode("¡a").unwrap();
    assert_eq!(ids, tokenizer.encode("a").unwrap());
    assert_eq!(ids, tokenizer.oracle().encode("¡a", SpecialInText::Parse).unwrap());
    assert_eq!(tokenizer.uncovered(), None);
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
    let folders = [Family::Llama3, Family::Qwen2, Family::O200k].map(|family| {
        let folder = tempfile::tempdir().unwrap();
        gpt2_with_pattern(&shared, family, folder.path());
        folder
    });
    let others = given_tokenizers();
    std::thread::scope(|scope| {
        for path in &others {
            let all = &all;
            scope.spawn(move || agree(path.to_str().unwrap(), path, all));
        }
        for file in files {
            let (path, all) = (shared.join("tokenizers").join(file), &all);
            scope.spawn(move || agree(file, &path, all));
        }
        for folder in &folders {
            let (path, some) = (folder.path().join("tokenizer.json"), &all[..all.len() / 4]);
            scope.spawn(move || agree("another pattern", &path, some));
        }
    });
}

fn agree(file: &str, path: &Path, texts: &[String]) {
    let tokenizer = Tokenizer::load(path).unwrap();
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

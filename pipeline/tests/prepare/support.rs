//! Rows of tests: written as lines or tables, and read back.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

/// A row of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) score: i64,
}

pub(crate) fn row(text: &str, score: i64) -> Row {
    Row { text: text.to_owned(), score }
}

/// So many different rows, whose scores are from 0 to 9.
pub(crate) fn rows(count: usize) -> Vec<Row> {
    let row = |number: usize| Row {
        text: format!("row {number} tells of rats, and of {} cats", number * 7919 % 1000),
        score: i64::try_from(number % 10).unwrap(),
    };
    (0..count).map(row).collect()
}

/// Returns rows as lines of JSON.
pub(crate) fn lines(rows: &[Row]) -> Vec<u8> {
    let line =
        |row: &Row| format!("{}\n", json!({"text": row.text, "score": row.score, "more": [1]}));
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// Writes rows as a table, each list of them as a row group.
pub(crate) fn write_table(path: &Path, groups: &[Vec<Row>]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("score", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]));
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).unwrap(), schema.clone(), None).unwrap();
    for group in groups {
        let scores: ArrayRef =
            Arc::new(Int64Array::from_iter_values(group.iter().map(|row| row.score)));
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter_values(group.iter().map(|row| &row.text)));
        writer.write(&RecordBatch::try_new(schema.clone(), vec![scores, texts]).unwrap()).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// Reads the rows of a table.
pub(crate) fn read_table(path: &Path) -> Vec<Row> {
    let file = fs::File::open(path).unwrap();
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let scores =
            batch.column_by_name("score").unwrap().as_primitive::<arrow_array::types::Int64Type>();
        let texts = batch.column_by_name("text").unwrap().as_string::<i32>();
        rows.extend((0..batch.num_rows()).map(|at| row(texts.value(at), scores.value(at))));
    }
    rows
}

/// Reads the lines of a compressed file.
pub(crate) fn read_lines(path: &Path) -> Vec<Value> {
    let text = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Reads the rows of compressed lines.
pub(crate) fn read_rows(path: &Path) -> Vec<Row> {
    let of = |line: Value| row(line["text"].as_str().unwrap(), line["score"].as_i64().unwrap());
    read_lines(path).into_iter().map(of).collect()
}

/// Runs a command that must succeed, and returns its JSON.
#[track_caller]
pub(crate) fn made(workshop: &Workshop, arguments: &[&str]) -> Value {
    let output = workshop.run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail, and returns what it said and its status.
#[track_caller]
pub(crate) fn refused(workshop: &Workshop, arguments: &[&str]) -> (String, Option<i32>) {
    let output = workshop.run(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    (stderr(&output), output.status.code())
}

/// Starts a command again and again, and kills it later each time, until it ends by itself.
///
/// Returns how often it was killed while it worked.
pub(crate) fn kill_until_done(
    workshop: &Workshop,
    arguments: &[&str],
    first: Duration,
    later_by: Duration,
) -> u32 {
    let mut kills = 0;
    for attempt in 0..200 {
        let mut command = workshop.command(arguments);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(first + later_by * attempt);
        let ended = run.try_wait().unwrap();
        run.kill().unwrap();
        run.wait().unwrap();
        kills += u32::from(ended.is_none());
        if ended.is_some_and(|status| status.success()) {
            break;
        }
    }
    kills
}

//! A folder in which a test runs the program, and the files that it gives to it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use tempfile::TempDir;

use crate::{files, program};

/// A folder with the program's sample in `demo`: a corpus, questions and a tokenizer.
#[derive(Debug)]
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// Makes an empty folder.
    ///
    /// # Panics
    ///
    /// The system refuses.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder is made") }
    }

    /// Makes a folder with the sample in it.
    ///
    /// # Panics
    ///
    /// The program fails.
    #[expect(clippy::new_without_default, reason = "it runs the program")]
    pub fn new() -> Self {
        let workshop = Self::empty();
        program::write_sample(workshop.folder.path());
        workshop
    }

    /// Returns the path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        files::write(&self.path(name), content);
    }

    /// Writes a parquet file of one text column; each list of texts is a row group.
    ///
    /// # Panics
    ///
    /// The file cannot be written.
    pub fn write_parquet(&self, name: &str, groups: &[Vec<String>], properties: WriterProperties) {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("a parquet file is written");
        let file = fs::File::create(path).expect("a parquet file is written");
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .expect("a parquet file is written");
        for group in groups {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(group));
            writer
                .write(
                    &RecordBatch::try_new(schema.clone(), vec![texts])
                        .expect("a parquet file is written"),
                )
                .expect("a parquet file is written");
            writer.flush().expect("a parquet file is written");
        }
        writer.close().expect("a parquet file is written");
    }

    /// Writes a parquet file of several columns of texts.
    ///
    /// # Panics
    ///
    /// The file cannot be written.
    pub fn write_texts(&self, name: &str, columns: &[&str], texts: &[Vec<String>]) {
        let array =
            |texts: &Vec<String>| -> ArrayRef { Arc::new(StringArray::from_iter_values(texts)) };
        let columns = columns.iter().copied().zip(texts.iter().map(array));
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let file = fs::File::create(self.path(name)).expect("a parquet file is written");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("it is begun");
        writer.write(&batch).expect("a parquet file is written");
        writer.close().expect("a parquet file is written");
    }

    /// Returns the command that runs the program here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        program::command(self.folder.path(), arguments)
    }

    /// Runs the program here to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        program::run(self.folder.path(), arguments)
    }

    /// Runs `tokenize` with the sample's tokenizer.
    pub fn tokenize(&self, arguments: &[&str]) -> Output {
        let tokenize = ["tokenize", "--tokenizer", program::SAMPLE_TOKENIZER];
        self.run(&[&tokenize[..], arguments].concat())
    }

    /// Runs `tokenize`, which must succeed, and returns the manifest of `out`.
    ///
    /// # Panics
    ///
    /// The program fails.
    pub fn manifest(&self, out: &str, arguments: &[&str]) -> Value {
        let output = self.tokenize(&[arguments, &["--out", out, "--quiet"]].concat());
        assert!(output.status.success(), "{}", program::stderr(&output));
        let manifest = fs::read(self.path(out).join("manifest.json")).expect("it is there");
        serde_json::from_slice(&manifest).expect("a manifest is JSON")
    }
}

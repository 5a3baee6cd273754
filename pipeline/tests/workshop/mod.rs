//! A folder to try `ratdata tokenize` in, and files of every kind to try it on.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A folder with the demo's corpus and tokenizer in it.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        let made = workshop.run(&["sample", "--out", "demo", "--quiet"]);
        assert!(made.status.success(), "{}", said(&made));
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content).unwrap();
    }

    /// Writes a parquet file of one text column, a row group a list of texts.
    pub(crate) fn write_parquet(
        &self,
        name: &str,
        groups: &[Vec<String>],
        properties: WriterProperties,
    ) {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
        for group in groups {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(group));
            writer.write(&RecordBatch::try_new(schema.clone(), vec![texts]).unwrap()).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hub"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs `tokenize` with the demo's tokenizer.
    pub(crate) fn tokenize(&self, arguments: &[&str]) -> Output {
        let demo = ["tokenize", "--tokenizer", "demo/tokenizer"];
        self.run(&[&demo[..], arguments].concat())
    }
}

/// Returns what a run wrote to stderr.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

//! Options of every command that takes rows and gives rows.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use ratdata_prepare::RowSettings;
use ratdata_schemas::recipe::{OnBadRow, SplitFiles};
use ratdata_tokenize::Share;
use serde_json::{Value, json};

use crate::number::thread_count;

/// Options of every command that takes rows and gives rows.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RowsArgs {
    /// Files, folders, patterns, `s3://`, `gs://`, `az://` or `https://` addresses, `-` for standard input, or
    /// `hf://datasets/OWNER/NAME[@REV]/PATH`
    #[arg(value_name = "PATH", required = true)]
    pub(crate) input: Vec<String>,

    /// Which files of a folder or data set are read, by the split in their names; a file that you
    /// name yourself, or by a pattern, is always read
    #[arg(long, value_enum, default_value_t = SplitFiles::Train)]
    pub(crate) split_files: SplitFiles,

    /// The folder of the result
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// The number of threads [default: all processors]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    pub(crate) num_proc: Option<NonZeroUsize>,

    /// The column or JSON field that holds the text, with dots where it is nested
    #[arg(long, default_value = "text", value_name = "COLUMN")]
    pub(crate) text_column: String,

    /// How to treat rows that cannot be read or judged
    #[arg(long, value_enum, default_value_t = OnBadRow::Fail)]
    pub(crate) on_bad_row: OnBadRow,

    /// Read the input files of share I of N (from 0); a run without this option makes the result
    /// [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Share>,

    /// Replace the result of another job in the folder
    #[arg(long)]
    pub(crate) force: bool,
}

impl RowsArgs {
    /// Returns how rows are read.
    pub(crate) fn rows(&self) -> RowSettings {
        RowSettings { text_column: self.text_column.clone(), on_bad_row: self.on_bad_row }
    }

    /// Returns the settings that decide bytes, next to those of the command itself.
    pub(crate) fn settings(&self, own: &Value) -> Value {
        json!({
            "own": own,
            "text_column": self.text_column,
            "on_bad_row": self.on_bad_row,
            "split_files": self.split_files,
        })
    }
}

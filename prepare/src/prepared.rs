//! What a folder of prepared rows records: `prepared.json`, written last.

use std::collections::BTreeMap;
use std::path::Path;

use ratdata_schemas::{ArtifactError, Checksum, FileRecord, read_json, write_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rows::{DroppedSample, PieceCounts};

/// The name of the file.
pub const PREPARED_FILE: &str = "prepared.json";

/// The folder of the rows that were kept.
pub const DATA_FOLDER: &str = "data";

/// The version of the form of [`Prepared`].
const FORMAT: u32 = 1;

/// What was made of the rows of some files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    format: u32,
    /// The name of the command.
    pub kind: String,
    /// All settings that decide the bytes.
    pub settings: Value,
    /// The numbers of all files together.
    #[serde(flatten)]
    pub totals: Totals,
    /// The files, in the order of the input.
    pub files: Vec<PreparedFile>,
    /// Rows of each reason, the first of the input.
    pub samples: Vec<DroppedSample>,
    /// What only this command says of its result.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub more: Value,
}

/// The numbers of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many rows there were.
    pub rows: u64,
    /// How many are kept.
    pub kept: u64,
    /// Of those that are kept, how many have another text.
    pub rewritten: u64,
    /// How many bytes of text there were.
    pub text_bytes: u64,
    /// How many bytes of text are kept.
    pub kept_text_bytes: u64,
    /// How many rows were left out or changed, by their reason.
    pub reasons: BTreeMap<String, u64>,
}

/// What was made of the rows of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedFile {
    /// The input's name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The checksum of its content.
    pub fingerprint: Checksum,
    /// The numbers of its rows.
    pub counts: Totals,
    /// The rows that are kept.
    pub data: FileRecord,
    /// A line for each row that is not, or is changed, with its reason.
    pub dropped: FileRecord,
}

impl Prepared {
    pub(crate) fn new(
        kind: &str,
        settings: Value,
        files: Vec<PreparedFile>,
        samples: Vec<DroppedSample>,
        more: Value,
    ) -> Self {
        let mut totals = PieceCounts::default();
        for file in &files {
            totals.add(&file.counts.clone().into());
        }
        let totals = totals.into();
        Self { format: FORMAT, kind: kind.to_owned(), settings, totals, files, samples, more }
    }

    /// Reads the record of a folder; none where there is none, or one of another version, or where a file is.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, ArtifactError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let read: Option<Self> = read_json(&folder.join(PREPARED_FILE))?;
        Ok(read.filter(|prepared| prepared.format == FORMAT))
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), ArtifactError> {
        write_json(&folder.join(PREPARED_FILE), self)
    }

    /// Returns the files of the folder.
    pub(crate) fn records(&self) -> impl Iterator<Item = &FileRecord> {
        self.files.iter().flat_map(|file| [&file.data, &file.dropped])
    }
}

impl From<PieceCounts> for Totals {
    fn from(counts: PieceCounts) -> Self {
        let PieceCounts { rows, kept, rewritten, text_bytes, kept_text_bytes, reasons } = counts;
        Self { rows, kept, rewritten, text_bytes, kept_text_bytes, reasons }
    }
}

impl From<Totals> for PieceCounts {
    fn from(totals: Totals) -> Self {
        let Totals { rows, kept, rewritten, text_bytes, kept_text_bytes, reasons } = totals;
        Self { rows, kept, rewritten, text_bytes, kept_text_bytes, reasons }
    }
}

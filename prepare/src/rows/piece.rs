//! What becomes of the rows of one part: those that are kept, as they are written, and why others are
//! not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What is decided of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is kept as it is.
    Keep,
    /// It is left out.
    Drop(Reason),
    /// It is kept with another text.
    Rewrite(String, Reason),
}

/// Why a row is left out or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Its name, by which rows are counted.
    pub name: Cow<'static, str>,
    /// What was found in this row.
    pub detail: Option<Json>,
}

impl Reason {
    /// A reason that says all by its name.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), detail: None }
    }

    /// A reason with what was found.
    pub fn with(name: impl Into<Cow<'static, str>>, detail: Json) -> Self {
        Self { name: name.into(), detail: Some(detail) }
    }
}

/// A row that is shown as an example of its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedSample {
    /// Why it is left out.
    pub reason: String,
    /// Its file.
    pub file: String,
    /// Its place in the file, from 0.
    pub row: u64,
    /// What was found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Json>,
    /// How its text begins.
    pub excerpt: String,
}

/// The numbers of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PieceCounts {
    pub(crate) rows: u64,
    pub(crate) kept: u64,
    /// Of those that are kept, how many have another text.
    pub(crate) rewritten: u64,
    pub(crate) text_bytes: u64,
    pub(crate) kept_text_bytes: u64,
    /// How many rows were left out or changed, by their reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl PieceCounts {
    /// Counts a row that is kept as it is.
    pub(crate) fn add_kept(&mut self, text_bytes: u64) {
        self.rows += 1;
        self.kept += 1;
        self.text_bytes += text_bytes;
        self.kept_text_bytes += text_bytes;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.kept += other.kept;
        self.rewritten += other.rewritten;
        self.text_bytes += other.text_bytes;
        self.kept_text_bytes += other.kept_text_bytes;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }
}

/// The rows of one part, on their way to the writer.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) file: usize,
    pub(crate) ends_file: bool,
    pub(crate) counts: PieceCounts,
    pub(crate) samples: Vec<DroppedSample>,
    pub(crate) tables: Vec<RecordBatch>,
    /// Kept lines, as a compressed frame.
    pub(crate) lines: Vec<u8>,
    /// What the log has of rows that are not kept, as a compressed frame.
    pub(crate) log: Vec<u8>,
    pub(crate) input_bytes: u64,
}

/// How many rows are shown for a reason.
pub(crate) const MOST_SAMPLES: usize = 5;

//! Where documents come from: parquet files, JSON lines and plain text.
//!
//! A [`Source`] is one file (or all plain text files together) and yields [`Rows`] in file order;
//! its parts can be read independently of each other, on any thread.

mod error;
mod fingerprint;
mod inputs;
mod lines;
mod parquet;
mod split_names;
mod table;

use std::path::PathBuf;

pub use error::SourceError;
pub use fingerprint::fingerprint;
pub(crate) use inputs::{FoundFile, find_files, gather, is_readable, is_text};
pub use inputs::{InputKind, SampleFile, SourceFile, find_inputs};
pub use lines::{Compression, LinesSource};
pub use parquet::ParquetSource;
pub use split_names::SplitName;
pub use table::{Place, Table, TableRow, at_path, text_at};

use ::parquet::data_type::ByteArray;
use serde_json::value::RawValue;

/// How many rows are read at a time.
pub(crate) const BATCH_ROWS: usize = 256;

/// How much text is read at a time, unless one row alone has more.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// One opened file of documents.
#[derive(Debug)]
pub enum Source {
    /// A column of a parquet file.
    Parquet(ParquetSource),
    /// A field of JSON lines.
    Lines(LinesSource),
    /// Plain text files, one document each.
    Texts(Vec<PathBuf>),
}

/// Rows of a source, in file order.
#[derive(Debug)]
pub struct Rows {
    /// The place of the first row in the source, counted from 0.
    pub first: u64,
    /// What the rows hold.
    pub cells: Vec<Cell>,
    /// How many bytes of the file they stand for, as it lies on disk; about, where it is compressed.
    pub input_bytes: u64,
}

/// What a row holds where its text should be.
#[derive(Debug)]
pub enum Cell {
    /// Bytes of a parquet page, not yet checked to be UTF-8.
    Bytes(ByteArray),
    /// A line of JSON, not yet parsed, and its number from 1.
    Line(u64, Vec<u8>),
    /// A text.
    Text(Vec<u8>),
    /// Nothing.
    Null,
}

impl Source {
    /// Opens a source; `column` is the name of the text column or field.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, or has no such column.
    pub fn open(file: &SourceFile, column: &str) -> Result<Self, SourceError> {
        match &file.kind {
            InputKind::Parquet => ParquetSource::open(&file.path, column).map(Self::Parquet),
            InputKind::Lines(compression) => {
                LinesSource::open(&file.path, *compression, column).map(Self::Lines)
            }
            InputKind::Texts(paths) => Ok(Self::Texts(paths.clone())),
        }
    }

    /// Returns how many parts can be read independently.
    pub fn num_parts(&self) -> usize {
        match self {
            Self::Parquet(parquet) => parquet.num_row_groups().max(1),
            Self::Lines(_) | Self::Texts(_) => 1,
        }
    }

    /// Returns how many rows there are, where that is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(parquet) => Some(parquet.num_rows()),
            Self::Lines(_) => None,
            Self::Texts(paths) => Some(paths.len() as u64),
        }
    }

    /// Reads one part and gives its rows, batch by batch, to `each` until that returns `false`.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is damaged.
    pub fn read_part(
        &self,
        part: usize,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        match self {
            Self::Parquet(parquet) => parquet.read_row_group(part, each),
            Self::Lines(lines) => lines.read(each),
            Self::Texts(paths) => {
                for (first, path) in (0..).zip(paths) {
                    let text = std::fs::read(path)
                        .map_err(|source| SourceError::Io { path: path.clone(), source })?;
                    let input_bytes = text.len() as u64;
                    if !each(Rows { first, cells: vec![Cell::Text(text)], input_bytes }) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// Returns the text of a cell, or why it has none.
    ///
    /// # Errors
    ///
    /// The row is null, not UTF-8, or not a JSON object with the text field.
    pub fn text<'a>(&self, cell: &'a Cell) -> Result<std::borrow::Cow<'a, str>, String> {
        let utf8 = |bytes: &'a [u8]| {
            std::str::from_utf8(bytes).map(std::borrow::Cow::Borrowed).map_err(|wrong| {
                format!("the text is not UTF-8: byte {} of it is wrong", wrong.valid_up_to())
            })
        };
        match cell {
            Cell::Bytes(bytes) => utf8(bytes.data()),
            Cell::Text(bytes) => utf8(bytes),
            Cell::Null => Err("the text is null".into()),
            Cell::Line(_, line) => {
                let Self::Lines(lines) = self else { return Err("no line of JSON".into()) };
                let text = std::str::from_utf8(line).map_err(|wrong| {
                    format!("the line is not UTF-8: byte {} of it is wrong", wrong.valid_up_to())
                })?;
                lines.field(text)
            }
        }
    }
}

impl Cell {
    /// Returns the place of a cell for messages; `row` is its row in the source, from 0.
    pub fn place(&self, row: u64) -> String {
        match self {
            Self::Line(number, _) => format!("line {number}"),
            _ => format!("row {row}"),
        }
    }

    /// Returns how many bytes the cell holds: those of a text, or of the line that has it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Line(_, line) => line.len(),
            Self::Text(text) => text.len(),
            Self::Null => 0,
        }
    }
}

/// The fields of a line of JSON, unparsed.
pub(crate) type Fields<'a> = std::collections::BTreeMap<String, &'a RawValue>;

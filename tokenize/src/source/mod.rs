//! Where documents come from: parquet files, JSON lines and plain text, on disk or in object stores.
//!
//! A [`Source`] is one file (or all plain text files together) and yields [`Rows`] in file order;
//! its parts can be read independently of each other, on any thread.

mod data_files;
mod error;
mod fingerprint;
mod foreign;
mod found;
mod input_file;
mod inputs;
mod json_text;
mod lines;
mod objects;
mod parquet;
mod row_text;
mod rows;
mod sift;
mod split_names;
mod store_failure;
mod streams;
mod table;
mod texts;
mod walk;

use std::path::PathBuf;

pub(crate) use data_files::is_text;
pub use error::SourceError;
pub use fingerprint::{Recorded, Seen, changed, checksum_of, sampled};
pub(crate) use foreign::Foreign;
pub(crate) use found::FoundFile;
pub use input_file::{InputFile, ReadAt};
pub use inputs::{InputKind, SampleFile, SourceFile, find_inputs};
pub(crate) use inputs::{find_files, gather};
pub use json_text::object_of;
pub use lines::LinesSource;
pub use parquet::{ParquetSource, parts_of};
pub use ratdata_schemas::recipe::SplitFiles;
pub use row_text::{BadText, RowText, Undecodable};
pub use rows::{Cell, Rows, Stopped};
pub(crate) use sift::Sifted;
pub use sift::{Found, LeftOut};
pub use split_names::SplitName;
pub use streams::Compression;
pub use table::{Place, Table, TableRow, at_path, text_at};

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
    /// The file cannot be read or is damaged, or `stopped` said so within a row.
    pub fn read_part(
        &self,
        part: usize,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        match self {
            Self::Parquet(parquet) => parquet.read_row_group(part, each),
            Self::Lines(lines) => lines.read(stopped, each),
            Self::Texts(paths) => texts::read(paths, stopped, each),
        }
    }

    /// Returns the text of a cell, or why it has none.
    ///
    /// # Errors
    ///
    /// The row is null, not UTF-8, or not a JSON object with the text field.
    pub fn text<'a>(
        &self,
        cell: &'a Cell,
        undecodable: Undecodable,
    ) -> Result<RowText<'a>, BadText> {
        match cell {
            Cell::Bytes(bytes) => row_text::of_bytes(bytes.data(), "the text", undecodable),
            Cell::Text(bytes) if bytes.is_empty() => Err(BadText::empty()),
            Cell::Text(bytes) => match foreign::other_encoding(bytes) {
                Some(found) => {
                    Err(format!("the text is {found} by its first bytes, expected UTF-8").into())
                }
                None => row_text::of_bytes(bytes, "the text", undecodable),
            },
            Cell::Null => Err("the text is null".to_owned().into()),
            Cell::Line(_, line) => match self {
                Self::Lines(lines) => lines.text(line, undecodable),
                _ => Err("no line of JSON".to_owned().into()),
            },
        }
    }

    /// Returns the place of a cell for messages; `row` is its row in the source, from 0.
    pub fn place(&self, cell: &Cell, row: u64) -> String {
        let text = usize::try_from(row).ok().and_then(|row| match self {
            Self::Texts(paths) => paths.get(row),
            _ => None,
        });
        match (cell, text) {
            (Cell::Line(number, _), _) => format!("line {number}"),
            // All texts are one source, which is called by the first.
            (_, Some(path)) => format!("row {row}, `{}`", path.display()),
            _ => format!("row {row}"),
        }
    }
}

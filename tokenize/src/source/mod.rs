//! Where documents come from: tables, JSON lines, separated values and plain text, on disk or in object stores.
//!
//! A [`Source`] is one file (or all plain text files together) and yields [`Rows`] in file order;
//! its parts can be read independently of each other, on any thread.

mod arrow;
mod csv;
mod data_files;
mod error;
mod fingerprint;
mod foreign;
mod found;
mod input_file;
mod inputs;
mod json_array;
mod json_rows;
mod json_text;
mod leaves;
mod lines;
mod objects;
mod parquet;
mod row_text;
mod rows;
mod saved_dataset;
mod sift;
mod sniff;
mod split_names;
mod store_failure;
mod streams;
mod table;
mod tar;
mod texts;
mod walk;

use std::borrow::Cow;
use std::path::PathBuf;

use serde_json::Value;

pub use arrow::{ArrowSource, ArrowTable};
pub use csv::{CsvSource, Separator};
pub(crate) use data_files::is_text;
pub use data_files::without_ending;
pub use error::SourceError;
pub use fingerprint::{Recorded, Seen, changed, checksum_of, sampled};
pub(crate) use foreign::Foreign;
pub(crate) use found::FoundFile;
pub use input_file::{InputFile, ReadAt};
pub use inputs::{InputKind, SampleFile, SourceFile, find_inputs};
pub(crate) use inputs::{find_files, gather};
pub use json_rows::{at_path, text_at};
pub use json_text::object_of;
pub use lines::LinesSource;
pub use parquet::{ParquetSource, parts_of};
pub use ratdata_schemas::recipe::SplitFiles;
pub use row_text::{BadText, RowText, Undecodable};
pub use rows::{Cell, Record, Rows, Stopped, TextPlace};
pub(crate) use sift::Sifted;
pub use sift::{Found, LeftOut};
pub use sniff::ending_of;
pub use split_names::SplitName;
pub use streams::Compression;
pub use table::{Place, Table, TableRow};
pub use tar::{Members, TarSource};

/// One opened file of documents.
#[derive(Debug)]
pub enum Source {
    /// A column of a parquet file.
    Parquet(ParquetSource),
    /// A column of an Arrow file.
    Arrow(ArrowSource),
    /// A field of JSON lines, or of the objects of one array.
    Lines(LinesSource),
    /// A column of separated values.
    Csv(CsvSource),
    /// A field of JSON lines in an archive.
    Tar(TarSource),
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
        let path = &file.path;
        match &file.kind {
            InputKind::Parquet => ParquetSource::open(path, column).map(Self::Parquet),
            InputKind::Arrow(compression) => {
                ArrowSource::open(path, *compression, column).map(Self::Arrow)
            }
            InputKind::Csv(compression, separator) => {
                CsvSource::open(path, *compression, *separator, Some(column)).map(Self::Csv)
            }
            InputKind::Lines(compression) => {
                LinesSource::open(path, *compression, column).map(Self::Lines)
            }
            InputKind::Tar(compression, members) => {
                TarSource::open(path, *compression, *members, column).map(Self::Tar)
            }
            InputKind::Texts(paths) => Ok(Self::Texts(paths.clone())),
        }
    }

    /// Opens a source of rows, no column of which is the text: [`Source::object`] gives all of them.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is damaged, or is a table, whose columns are read otherwise.
    pub fn open_without_text(file: &SourceFile) -> Result<Self, SourceError> {
        match &file.kind {
            InputKind::Csv(compression, separator) => {
                CsvSource::open(&file.path, *compression, *separator, None).map(Self::Csv)
            }
            _ => Self::open(file, ""),
        }
    }

    /// Returns how many parts can be read independently.
    pub fn num_parts(&self) -> usize {
        match self {
            Self::Parquet(parquet) => parquet.num_row_groups().max(1),
            Self::Arrow(_) | Self::Lines(_) | Self::Csv(_) | Self::Tar(_) | Self::Texts(_) => 1,
        }
    }

    /// Returns how many rows there are, where that is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(parquet) => Some(parquet.num_rows()),
            Self::Arrow(_) | Self::Lines(_) | Self::Csv(_) | Self::Tar(_) => None,
            Self::Texts(paths) => Some(paths.len() as u64),
        }
    }

    /// Returns how the file is compressed as a whole.
    pub(crate) fn compression(&self) -> Compression {
        match self {
            Self::Arrow(arrow) => arrow.compression(),
            Self::Lines(lines) => lines.compression(),
            Self::Csv(csv) => csv.compression(),
            Self::Tar(tar) => tar.compression(),
            Self::Parquet(_) | Self::Texts(_) => Compression::None,
        }
    }

    /// Has the bytes fetched that are read first, where the file is in an object store.
    ///
    /// # Errors
    ///
    /// No connection can be made.
    pub(crate) fn begin_reading(&self) -> Result<(), SourceError> {
        match self {
            Self::Parquet(parquet) => parquet.file().begin_reading(),
            Self::Arrow(arrow) => arrow.file().begin_reading(),
            Self::Lines(lines) => lines.file().begin_reading(),
            Self::Csv(csv) => csv.file().begin_reading(),
            Self::Tar(tar) => tar.file().begin_reading(),
            // They are found when they are read, several at a time.
            Self::Texts(_) => Ok(()),
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
            Self::Arrow(arrow) => arrow.read(stopped, each),
            Self::Lines(lines) => lines.read(stopped, each),
            Self::Csv(csv) => csv.read(stopped, each),
            Self::Tar(tar) => tar.read(stopped, each),
            Self::Texts(paths) => texts::read(paths, stopped, each),
        }
    }

    /// Returns the text of a cell, or why it has none.
    ///
    /// # Errors
    ///
    /// The row is null, not UTF-8, or has no text field.
    pub fn text<'a>(
        &self,
        cell: &'a Cell,
        undecodable: Undecodable,
    ) -> Result<RowText<'a>, BadText> {
        match (cell, self) {
            (Cell::Bytes(bytes), _) => row_text::of_bytes(bytes.data(), "the text", undecodable),
            (Cell::Text(bytes), _) if bytes.is_empty() => Err(BadText::empty()),
            (Cell::Text(bytes), _) => match foreign::other_encoding(bytes) {
                Some(found) => {
                    Err(format!("the text is {found} by its first bytes, expected UTF-8").into())
                }
                None => row_text::of_bytes(bytes, "the text", undecodable),
            },
            (Cell::Null, _) => Err("the text is null".to_owned().into()),
            (Cell::Json(_, json), Self::Lines(lines)) => lines.text(json, undecodable),
            (Cell::Json(_, json), Self::Tar(tar)) => tar.text(json, undecodable),
            (Cell::Record(_, record), Self::Csv(csv)) => csv.text(record, undecodable),
            (Cell::Json(..) | Cell::Record(..), _) => Err(BadText::from(NO_ROW.to_owned())),
        }
    }

    /// Returns the row of a cell as an object, or why it is none; nothing where it has a text alone.
    pub fn object(&self, cell: &Cell) -> Option<Result<Value, String>> {
        match (cell, self) {
            (Cell::Json(_, json), _) => Some(object_of(json)),
            (Cell::Record(_, record), Self::Csv(csv)) => Some(csv.object(record)),
            _ => None,
        }
    }

    /// Returns the row of a cell as a line of JSON without its end, and with another text where one is given; nothing
    /// where it has a text alone.
    ///
    /// # Errors
    ///
    /// The row has no such text field, or is no JSON.
    pub fn line<'a>(
        &self,
        cell: &'a Cell,
        text: Option<&str>,
    ) -> Option<Result<Cow<'a, [u8]>, BadText>> {
        let (json, field) = match (cell, self) {
            (Cell::Json(_, json), Self::Lines(lines)) => (json, lines.field()),
            (Cell::Json(_, json), Self::Tar(tar)) => (json, tar.field()),
            (Cell::Record(_, record), Self::Csv(csv)) => {
                return Some(csv.line(record, text).map(Cow::Owned).map_err(BadText::from));
            }
            _ => return None,
        };
        let line = json.trim_ascii_end();
        if memchr::memchr(b'\n', line).is_some() {
            let reason = "an end of line within a string, where JSON has `\\n`";
            return Some(Err(BadText::from(reason.to_owned())));
        }
        Some(match text {
            Some(text) => lines::with_text(line, field, text).map(Cow::Owned),
            None => Ok(Cow::Borrowed(line)),
        })
    }

    /// Returns the place of a cell for messages; `row` is its row in the source, from 0.
    pub fn place(&self, cell: &Cell, row: u64) -> String {
        let text = usize::try_from(row).ok().and_then(|row| match self {
            Self::Texts(paths) => paths.get(row),
            _ => None,
        });
        match (cell.place(), text) {
            (Some(place), _) => place.to_string(),
            // All texts are one source, which is called by the first.
            (_, Some(path)) => format!("row {row}, `{}`", path.display()),
            _ => format!("row {row}"),
        }
    }
}

/// Why a cell of another source has no text.
const NO_ROW: &str = "no row of this source";

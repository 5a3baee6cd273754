//! Reads one text column of a parquet file, page by page and without a copy.
//!
//! The column is read below Arrow: a value is a slice of its decompressed page. So strings, large
//! strings, views and dictionaries are one thing, and UTF-8 is checked row by row, which lets a bad
//! row be named and skipped.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use ratdata_schemas::narrow;

use super::error::SourceError;
use super::foreign;
use super::rows::{BATCH_BYTES, BATCH_ROWS, Cell, Rows};

/// A parquet file with its text column.
pub struct ParquetSource {
    path: PathBuf,
    reader: SerializedFileReader<SharedFile>,
    column: usize,
    first_rows: Vec<u64>,
    rows: u64,
    bytes: u64,
}

impl std::fmt::Debug for ParquetSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSource").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetSource {
    /// Opens a file and finds its text column; nested columns are named with dots.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not whole, or has no such column of text.
    pub fn open(path: &Path, column: &str) -> Result<Self, SourceError> {
        let io = |source| SourceError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        if len == 0 {
            return Err(SourceError::Empty { path: path.to_owned() });
        }
        foreign::check(path)?;
        let reader = SerializedFileReader::new(SharedFile { file: Arc::new(file), len })
            .map_err(|wrong| damaged(path, "its footer".into(), &wrong))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let names: Vec<String> =
            schema.columns().iter().map(|column| column.path().string()).collect();
        let wrong_type = |found: String| SourceError::ColumnType {
            path: path.to_owned(),
            column: column.to_owned(),
            found,
        };
        let count = names.iter().filter(|name| *name == column).count();
        if count > 1 {
            return Err(SourceError::DoubledColumn {
                path: path.to_owned(),
                column: column.to_owned(),
                count,
            });
        }
        let Some(place) = names.iter().position(|name| name == column) else {
            if let Some(found) = nested(&schema, column) {
                return Err(wrong_type(found));
            }
            return Err(SourceError::NoColumn {
                path: path.to_owned(),
                column: column.to_owned(),
                present: names,
            });
        };
        let described = schema.column(place);
        if described.max_rep_level() > 0 {
            return Err(wrong_type("lists".into()));
        }
        if described.physical_type() != Type::BYTE_ARRAY {
            return Err(wrong_type(described.physical_type().to_string()));
        }
        let mut rows = 0_u64;
        let mut first_rows = Vec::new();
        for (number, group) in reader.metadata().row_groups().iter().enumerate() {
            first_rows.push(rows);
            let counted = u64::try_from(group.num_rows()).ok();
            rows = counted.and_then(|more| rows.checked_add(more)).ok_or_else(|| {
                SourceError::Damaged {
                    path: path.to_owned(),
                    place: "its footer".into(),
                    reason: format!("row group {number} has {} rows", group.num_rows()),
                }
            })?;
        }
        Ok(Self { path: path.to_owned(), reader, column: place, first_rows, rows, bytes: len })
    }

    /// Returns how many row groups the file has.
    pub fn num_row_groups(&self) -> usize {
        self.first_rows.len()
    }

    /// Returns how many rows the file has.
    pub fn num_rows(&self) -> u64 {
        self.rows
    }

    /// Returns how many rows a row group has.
    pub fn num_group_rows(&self, group: usize) -> u64 {
        let end = self.first_rows.get(group + 1).copied().unwrap_or(self.rows);
        self.first_rows.get(group).map_or(0, |first| end - first)
    }

    /// Returns how many bytes of text a row group holds, before compression.
    pub fn text_bytes(&self, group: usize) -> u64 {
        let column = self.reader.metadata().row_group(group).column(self.column);
        // The footer may promise anything; a negative size is none.
        column.uncompressed_size().max(0).unsigned_abs()
    }

    /// Reads one row group, a batch at a time; one beyond the last has no rows.
    ///
    /// # Errors
    ///
    /// A page is damaged, or the group has other rows than the footer says.
    pub fn read_row_group(
        &self,
        group: usize,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        if group >= self.num_row_groups() {
            return Ok(());
        }
        let wrong = |wrong: ParquetError| damaged(&self.path, format!("row group {group}"), &wrong);
        let reader = self.reader.get_row_group(group).map_err(wrong)?;
        let expected = self.num_group_rows(group);
        let ColumnReader::ByteArrayColumnReader(mut column) =
            reader.get_column_reader(self.column).map_err(wrong)?
        else {
            return Err(wrong(ParquetError::General("the column is not of byte arrays".into())));
        };
        let full = column_is_required(reader.as_ref(), self.column);
        let at_once = self.rows_at_once(group);
        let mut read = 0;
        loop {
            let mut values: Vec<ByteArray> = Vec::with_capacity(at_once);
            let mut levels: Vec<i16> = Vec::with_capacity(at_once);
            let (rows, _, _) = column
                .read_records(at_once, Some(&mut levels), None, &mut values)
                .map_err(wrong)?;
            if rows == 0 {
                break;
            }
            let first = self.first_rows[group] + read;
            read += rows as u64;
            let cells = match full {
                None => values.into_iter().map(Cell::Bytes).collect(),
                Some(there) => {
                    let mut values = values.into_iter();
                    let cell = |&level: &i16| {
                        let value = if level == there { values.next() } else { None };
                        value.map_or(Cell::Null, Cell::Bytes)
                    };
                    levels.iter().map(cell).collect()
                }
            };
            let input_bytes = self.bytes_before(first + rows as u64) - self.bytes_before(first);
            if !each(Rows { first, cells, input_bytes }) {
                return Ok(());
            }
        }
        if read != expected {
            let reason = format!("found {read} rows, the footer promises {expected}");
            return Err(wrong(ParquetError::General(reason)));
        }
        Ok(())
    }

    /// Returns how many rows of a group have about [`BATCH_BYTES`] of text together.
    fn rows_at_once(&self, group: usize) -> usize {
        let rows = self.num_group_rows(group).max(1);
        let each = (self.text_bytes(group) / rows).max(1);
        let at_once = BATCH_BYTES as u64 / each;
        narrow(at_once.clamp(1, BATCH_ROWS as u64))
    }

    /// Returns the share of the file's bytes that the rows before `row` have, were all alike.
    fn bytes_before(&self, row: u64) -> u64 {
        let share = u128::from(self.bytes) * u128::from(row.min(self.rows));
        narrow(share / u128::from(self.rows.max(1)))
    }
}

/// Returns what a column holds that is no single value: lists, or fields of its own.
fn nested(schema: &SchemaDescriptor, column: &str) -> Option<String> {
    let inside = format!("{column}.");
    let mut leaves =
        schema.columns().iter().filter(|leaf| leaf.path().string().starts_with(&inside));
    let first = leaves.next()?;
    if first.max_rep_level() > 0 {
        return Some(format!("lists of {}", first.physical_type()));
    }
    let fields: Vec<String> =
        std::iter::once(first).chain(leaves).map(|leaf| leaf.path().string()).collect();
    Some(format!("fields of its own ({})", fields.join(", ")))
}

/// Returns the definition level of a value that is there; none where every value is.
fn column_is_required(
    group: &dyn parquet::file::reader::RowGroupReader,
    column: usize,
) -> Option<i16> {
    let level = group.metadata().column(column).column_descr().max_def_level();
    (level > 0).then_some(level)
}

fn damaged(path: &Path, place: String, wrong: &ParquetError) -> SourceError {
    SourceError::Damaged { path: path.to_owned(), place, reason: wrong.to_string() }
}

/// A file that many threads read at places of their own.
struct SharedFile {
    file: Arc<File>,
    len: u64,
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for SharedFile {
    type T = FileAt;

    fn get_read(&self, start: u64) -> parquet::errors::Result<FileAt> {
        Ok(FileAt { file: self.file.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.len);
        if end.is_none() {
            return Err(ParquetError::EOF(format!("bytes {start}+{length} of {}", self.len)));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A reader that begins at a place of a file and moves no other reader of it.
struct FileAt {
    file: Arc<File>,
    at: u64,
}

impl Read for FileAt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

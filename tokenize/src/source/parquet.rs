//! Reads one text column of a parquet file, page by page and without a copy.
//!
//! The column is read below Arrow: a value is a slice of its decompressed page. So strings, large
//! strings, views and dictionaries are one thing, and UTF-8 is checked row by row, which lets a bad
//! row be named and skipped.

use std::path::Path;

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, Length, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use ratdata_schemas::narrow;

use super::error::SourceError;
use super::foreign;
use super::input_file::{InputFile, ReadAt};
use super::rows::{BATCH_BYTES, BATCH_ROWS, Cell, Rows};

/// A parquet file with its text column.
pub struct ParquetSource {
    file: InputFile,
    reader: SerializedFileReader<ReadAt>,
    column: usize,
    first_rows: Vec<u64>,
    rows: u64,
    bytes: u64,
}

impl std::fmt::Debug for ParquetSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSource").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

impl ParquetSource {
    /// Opens a file and finds its text column; nested columns are named with dots.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not whole, or has no such column of text.
    pub fn open(path: &Path, column: &str) -> Result<Self, SourceError> {
        let input = InputFile::find(path)?;
        let file = input.at_any_place()?;
        let len = file.len();
        if len == 0 {
            return Err(SourceError::Empty { path: path.to_owned() });
        }
        input.begin_at_ends()?;
        foreign::check(&input)?;
        let reader = SerializedFileReader::new(file.clone())
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
        file.expect(|| parts_of(reader.metadata(), |column| column == place));
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
        Ok(Self { file: input, reader, column: place, first_rows, rows, bytes: len })
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &InputFile {
        &self.file
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
        let wrong =
            |wrong: ParquetError| damaged(self.file.path(), format!("row group {group}"), &wrong);
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
    SourceError::damaged(path, place, wrong)
}

/// Returns where in the file the columns lie that are read, in the order of the file.
pub fn parts_of(
    metadata: &ParquetMetaData,
    is_read: impl Fn(usize) -> bool,
) -> Vec<std::ops::Range<u64>> {
    let mut parts = Vec::new();
    for group in metadata.row_groups() {
        let columns = group.columns().iter().enumerate();
        for (_, column) in columns.filter(|(number, _)| is_read(*number)) {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            // The footer may promise anything.
            let (Ok(start), Ok(length)) =
                (u64::try_from(start), u64::try_from(column.compressed_size()))
            else {
                continue;
            };
            parts.push(start..start.saturating_add(length));
        }
    }
    parts.sort_by_key(|part| (part.start, part.end));
    parts
}

//! Reads several columns of a file at once, nested ones too, as JSON values row by row.
//!
//! Instruction data has a question here, a story there and answers in a list. A row is an object
//! of the columns that were asked for, whether it came from a table or from a line of JSON.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use super::arrow::{ArrowTable, pruned};
use super::error::SourceError;
use super::input_file::InputFile;
use super::json_rows::rows_of;
use super::leaves::{Leaf, leaves_of, wanted};
use super::parquet::parts_of;
use super::rows::TextPlace;
use super::streams::Compression;
use super::{InputKind, Source, SourceFile, foreign};

/// How many rows are read at a time; a story may have a megabyte.
const BATCH_ROWS: usize = 64;

/// A file of which some columns are read.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    kind: TableKind,
}

#[derive(Debug)]
enum TableKind {
    Parquet { metadata: ArrowReaderMetadata, mask: ProjectionMask },
    Arrow { table: ArrowTable, leaves: HashSet<String> },
    Rows(Source),
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// Where it is in its file.
    pub place: Place,
    /// An object of the columns that were asked for, or why there is none.
    pub columns: Result<Value, String>,
}

/// Where a row is in its file, as messages say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The row of a table, from 0.
    Row(u64),
    /// The line of a text file.
    Line(TextPlace),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(number) => write!(f, "row {number}"),
            Self::Line(place) => place.fmt(f),
        }
    }
}

impl Table {
    /// Opens a file to read the columns at `paths`, whose names are parted by dots.
    ///
    /// Of a path such as `answers.0.text` the column `answers` is read: a number is a place in a
    /// list, `*` all of its places.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, of a kind without columns, or has no such column.
    pub fn open(file: &SourceFile, paths: &[&str]) -> Result<Self, SourceError> {
        let kind = match &file.kind {
            InputKind::Texts(_) => {
                return Err(SourceError::UnknownKind { path: file.path.clone() });
            }
            InputKind::Parquet => open_parquet(&file.path, paths)?,
            InputKind::Arrow(compression) => open_arrow(&file.path, *compression, paths)?,
            InputKind::Lines(_) | InputKind::Csv(..) | InputKind::Tar(..) => {
                let source = Source::open_without_text(file)?;
                if let Source::Csv(csv) = &source {
                    for path in paths {
                        csv.place_of(path)?;
                    }
                }
                TableKind::Rows(source)
            }
        };
        Ok(Self { path: file.path.clone(), kind })
    }

    /// Returns how many rows there are, where that is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        match &self.kind {
            TableKind::Parquet { metadata, .. } => {
                u64::try_from(metadata.metadata().file_metadata().num_rows()).ok()
            }
            TableKind::Arrow { .. } | TableKind::Rows(_) => None,
        }
    }

    /// Gives the rows batch by batch to `each` until that returns `false`.
    ///
    /// A line that is no JSON object is a row without columns, with the reason in their place.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is damaged.
    pub fn read(&self, each: &mut dyn FnMut(Vec<TableRow>) -> bool) -> Result<(), SourceError> {
        self.read_wanted(&|_| true, &mut |_, rows| each(rows))
    }

    /// As [`Table::read`], with the number of the first row of each batch, and null in the place of
    /// the columns of every row that is not wanted.
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn read_wanted(
        &self,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<TableRow>) -> bool,
    ) -> Result<(), SourceError> {
        match &self.kind {
            TableKind::Parquet { metadata, mask } => {
                self.read_parquet(metadata, mask, wanted, each)
            }
            TableKind::Arrow { table, leaves } => self.read_arrow(table, leaves, wanted, each),
            TableKind::Rows(source) => read_rows(source, wanted, each),
        }
    }

    fn read_parquet(
        &self,
        metadata: &ArrowReaderMetadata,
        mask: &ProjectionMask,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<TableRow>) -> bool,
    ) -> Result<(), SourceError> {
        let damaged = |first: u64, wrong: &(dyn std::error::Error + 'static)| {
            SourceError::damaged(&self.path, format!("row {first}"), wrong)
        };
        let file = InputFile::find(&self.path)?.at_any_place()?;
        file.expect(|| parts_of(metadata.metadata(), |column| mask.leaf_included(column)));
        let reader: ParquetRecordBatchReader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_projection(mask.clone())
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|wrong| damaged(0, &wrong))?;
        let mut first = 0;
        for batch in reader {
            let batch = batch.map_err(|wrong| damaged(first, &wrong))?;
            if !each(first, self.rows(&batch, first, wanted)?) {
                break;
            }
            first += batch.num_rows() as u64;
        }
        Ok(())
    }

    fn read_arrow(
        &self,
        table: &ArrowTable,
        leaves: &HashSet<String>,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<TableRow>) -> bool,
    ) -> Result<(), SourceError> {
        let (mut first, mut failed) = (0, None);
        table.read(&|| false, &mut |batch, _| {
            let batch = selected(&batch, leaves);
            for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
                let rows = batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start));
                let continues = match self.rows(&rows, first, wanted) {
                    Ok(rows) => each(first, rows),
                    Err(wrong) => {
                        failed = Some(wrong);
                        false
                    }
                };
                if !continues {
                    return false;
                }
                first += rows.num_rows() as u64;
            }
            true
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Returns the rows of a batch that begins at row `first`.
    fn rows(
        &self,
        batch: &RecordBatch,
        first: u64,
        wanted: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<TableRow>, SourceError> {
        let rows = rows_of(batch, &|at| wanted(first + at)).map_err(|reason| {
            let (path, place) = (self.path.clone(), format!("row {first}"));
            SourceError::Damaged { path, place, reason }
        })?;
        let places = (first..).map(Place::Row);
        let row = |(place, row)| TableRow { place, columns: Ok(row) };
        Ok(places.zip(rows).map(row).collect())
    }
}

/// Returns a batch with those of its columns, and of the columns in them, that are read.
fn selected(batch: &RecordBatch, leaves: &HashSet<String>) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns: Vec<_> = columns
        .filter_map(|(field, array)| {
            pruned(field.name(), field, array, &|path| leaves.contains(path))
        })
        .collect();
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
    // Nothing is selected where only the rows are counted.
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap_or_else(|_| batch.clone())
}

fn read_rows(
    source: &Source,
    wanted: &dyn Fn(u64) -> bool,
    each: &mut dyn FnMut(u64, Vec<TableRow>) -> bool,
) -> Result<(), SourceError> {
    source.read_part(0, &|| false, &mut |rows| {
        let table_rows = (rows.first..).zip(&rows.cells).filter_map(|(row, cell)| {
            let place = Place::Line(cell.place()?.clone());
            let columns = if wanted(row) { source.object(cell)? } else { Ok(Value::Null) };
            Some(TableRow { place, columns })
        });
        each(rows.first, table_rows.collect())
    })
}

fn open_parquet(path: &Path, paths: &[&str]) -> Result<TableKind, SourceError> {
    let input = InputFile::find(path)?;
    input.begin_at_ends()?;
    foreign::check(&input)?;
    let file = input.at_any_place()?;
    let metadata =
        ArrowReaderMetadata::load(&file, parquet::arrow::arrow_reader::ArrowReaderOptions::new())
            .map_err(|wrong| SourceError::damaged(path, "its footer", &wrong))?;
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let leaves = wanted(path, &parquet_leaves(&metadata, &schema), paths)?;
    Ok(TableKind::Parquet { mask: ProjectionMask::leaves(&schema, leaves), metadata })
}

/// Returns the leaves of a file in their order, named by its schema and not by how lists are spelt.
fn parquet_leaves(metadata: &ArrowReaderMetadata, schema: &SchemaDescriptor) -> Vec<Leaf> {
    let leaves = leaves_of(metadata.schema().fields());
    if leaves.len() == schema.num_columns() {
        return leaves;
    }
    // A schema that reads otherwise than the file is laid out: its own names are as good as any.
    schema.columns().iter().map(|column| Leaf::named(column.path().string())).collect()
}

fn open_arrow(
    path: &Path,
    compression: Compression,
    paths: &[&str],
) -> Result<TableKind, SourceError> {
    let table = ArrowTable::look(path, compression)?;
    let leaves = leaves_of(table.schema().fields());
    let places = wanted(path, &leaves, paths)?;
    let mut roots: Vec<usize> = places.iter().map(|&place| leaves[place].root).collect();
    roots.sort_unstable();
    roots.dedup();
    let leaves = places.into_iter().map(|place| leaves[place].path.clone()).collect();
    Ok(TableKind::Arrow { table: table.with_columns(roots)?, leaves })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::{Int16Array, StringArray, StructArray};
    use arrow_schema::{DataType, Field};
    use serde_json::json;

    use super::*;

    #[test]
    fn small_integers_and_fields_with_the_names_of_wrappers_are_read() {
        use parquet::arrow::ArrowWriter;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let item: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let rank: ArrayRef = Arc::new(Int16Array::from(vec![-3, 7]));
        let inner = StructArray::from(vec![
            (Arc::new(Field::new("item", DataType::Utf8, false)), item),
            (Arc::new(Field::new("rank", DataType::Int16, false)), rank),
        ]);
        let batch = RecordBatch::try_from_iter([("list", Arc::new(inner) as ArrayRef)]).unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create_new(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let file = crate::source::find_inputs(&[path.display().to_string()]).unwrap().remove(0);

        let mut rows = Vec::new();
        let table = Table::open(&file, &["list.item", "list.rank"]).unwrap();
        table
            .read(&mut |batch| {
                rows.extend(batch);
                true
            })
            .unwrap();

        let row = |place, item, rank| TableRow {
            place: Place::Row(place),
            columns: Ok(json!({"list": {"item": item, "rank": rank}})),
        };
        assert_eq!(rows, [row(0, "a", -3), row(1, "b", 7)]);
    }
}

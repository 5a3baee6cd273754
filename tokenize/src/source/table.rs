//! Reads several columns of a file at once, nested ones too, as JSON values row by row.
//!
//! Instruction data has a question here, a story there and answers in a list. A row is an object
//! of the columns that were asked for, whether it came from parquet or from a line of JSON.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, OffsetSizeTrait, RecordBatch,
    StructArray,
};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::schema::types::SchemaDescriptor;
use serde_json::{Map, Value};

use super::error::SourceError;
use super::input_file::InputFile;
use super::json_text::object_of;
use super::parquet::parts_of;
use super::{Cell, InputKind, LinesSource, SourceFile, foreign};

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
    Lines(LinesSource),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The row of a table, from 0.
    Row(u64),
    /// The line of a text file, from 1.
    Line(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(number) => write!(f, "row {number}"),
            Self::Line(number) => write!(f, "line {number}"),
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
            InputKind::Lines(compression) => {
                TableKind::Lines(LinesSource::open(&file.path, *compression, "")?)
            }
            InputKind::Texts(_) => {
                return Err(SourceError::UnknownKind { path: file.path.clone() });
            }
            InputKind::Parquet => open_parquet(&file.path, paths)?,
        };
        Ok(Self { path: file.path.clone(), kind })
    }

    /// Returns how many rows there are, where that is known without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        match &self.kind {
            TableKind::Parquet { metadata, .. } => {
                u64::try_from(metadata.metadata().file_metadata().num_rows()).ok()
            }
            TableKind::Lines(_) => None,
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
            TableKind::Lines(lines) => read_lines(lines, wanted, each),
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
            let rows = rows_of(&batch, &|at| wanted(first + at)).map_err(|reason| {
                let (path, place) = (self.path.clone(), format!("row {first}"));
                SourceError::Damaged { path, place, reason }
            })?;
            let count = rows.len() as u64;
            let place = (first..).map(Place::Row);
            let rows = place.zip(rows).map(|(place, row)| TableRow { place, columns: Ok(row) });
            if !each(first, rows.collect()) {
                break;
            }
            first += count;
        }
        Ok(())
    }
}

fn read_lines(
    lines: &LinesSource,
    wanted: &dyn Fn(u64) -> bool,
    each: &mut dyn FnMut(u64, Vec<TableRow>) -> bool,
) -> Result<(), SourceError> {
    lines.read(&|| false, &mut |rows| {
        let lines = (rows.first..).zip(&rows.cells).filter_map(|(row, cell)| match cell {
            Cell::Line(number, line) => {
                let columns = if wanted(row) { object_of(line) } else { Ok(Value::Null) };
                Some(TableRow { place: Place::Line(*number), columns })
            }
            _ => None,
        });
        each(rows.first, lines.collect())
    })
}

fn open_parquet(path: &Path, paths: &[&str]) -> Result<TableKind, SourceError> {
    let input = InputFile::find(path)?;
    foreign::check(&input)?;
    let file = input.at_any_place()?;
    let metadata =
        ArrowReaderMetadata::load(&file, parquet::arrow::arrow_reader::ArrowReaderOptions::new())
            .map_err(|wrong| SourceError::damaged(path, "its footer", &wrong))?;
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let columns = leaves_of(&metadata, &schema);
    let mut leaves = Vec::new();
    for wanted in paths {
        let wanted_parts: Vec<&str> = wanted.split('.').filter(|part| !is_place(part)).collect();
        let wanted_path = wanted_parts.join(".");
        let inside = format!("{wanted_path}.");
        let before = leaves.len();
        let count = columns.iter().filter(|column| column.path == wanted_path).count();
        if count > 1 {
            return Err(SourceError::DoubledColumn {
                path: path.to_owned(),
                column: wanted_path,
                count,
            });
        }
        for (leaf, column) in columns.iter().enumerate() {
            if column.path != wanted_path && !column.path.starts_with(&inside) {
                continue;
            }
            if let Some(found) = &column.unreadable {
                return Err(SourceError::ColumnType {
                    path: path.to_owned(),
                    column: column.path.clone(),
                    found: found.clone(),
                });
            }
            leaves.push(leaf);
        }
        if leaves.len() == before {
            let mut present: Vec<String> =
                columns.iter().map(|column| column.path.clone()).collect();
            present.dedup();
            return Err(SourceError::NoColumn {
                path: path.to_owned(),
                column: (*wanted).to_owned(),
                present,
            });
        }
    }
    Ok(TableKind::Parquet { mask: ProjectionMask::leaves(&schema, leaves), metadata })
}

/// A column without columns in it.
#[derive(Debug, PartialEq, Eq)]
struct Leaf {
    /// Its path as users write it: lists add no name to it.
    path: String,
    /// What it holds, where that cannot be read.
    unreadable: Option<String>,
}

/// Returns the leaves of a file in their order, named by its schema and not by how lists are spelt.
fn leaves_of(metadata: &ArrowReaderMetadata, schema: &SchemaDescriptor) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for field in metadata.schema().fields() {
        add_leaves(field.name(), field.data_type(), &mut leaves);
    }
    if leaves.len() == schema.num_columns() {
        return leaves;
    }
    // A schema that reads otherwise than the file is laid out: its own names are as good as any.
    let named = schema.columns().iter().map(|column| column.path().string());
    named.map(|path| Leaf { path, unreadable: None }).collect()
}

fn add_leaves(path: &str, kind: &DataType, leaves: &mut Vec<Leaf>) {
    match kind {
        DataType::Struct(fields) => {
            for field in fields {
                add_leaves(&format!("{path}.{}", field.name()), field.data_type(), leaves);
            }
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            add_leaves(path, item.data_type(), leaves);
        }
        // A map is laid out as a list of keys and values.
        DataType::Map(entries, _) => add_leaves(path, entries.data_type(), leaves),
        plain => {
            let unreadable = (!is_readable(plain)).then(|| plain.to_string());
            leaves.push(Leaf { path: path.to_owned(), unreadable });
        }
    }
}

/// Returns whether [`value`] reads values of a kind that has no columns in it.
fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_readable(values),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => true,
        kind => kind.is_integer() || matches!(kind, DataType::Float32 | DataType::Float64),
    }
}

/// Returns whether a part of a path is a place in a list.
fn is_place(part: &str) -> bool {
    part == "*" || part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the value at a path of a row; `None` where there is none.
///
/// `*` gathers the values at the rest of the path in every place of a list.
pub fn at_path(row: &Value, path: &str) -> Option<Value> {
    let Some((part, rest)) = path.split_once('.').or((!path.is_empty()).then_some((path, "")))
    else {
        return Some(row.clone());
    };
    match row {
        Value::Object(fields) => at_path(fields.get(part)?, rest),
        Value::Array(items) if part == "*" => items
            .iter()
            .map(|item| at_path(item, rest))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        Value::Array(items) => at_path(items.get(part.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

/// Returns the text at a path of a row, without a copy.
pub fn text_at<'a>(row: &'a Value, path: &str) -> Option<&'a str> {
    let mut value = row;
    for part in path.split('.') {
        value = match value {
            Value::Object(fields) => fields.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    value.as_str()
}

fn rows_of(batch: &RecordBatch, wanted: &dyn Fn(u64) -> bool) -> Result<Vec<Value>, String> {
    let row: StructArray = batch.clone().into();
    let value = |at| if wanted(at as u64) { object(&row, at) } else { Ok(Value::Null) };
    (0..batch.num_rows()).map(value).collect()
}

fn object(array: &StructArray, at: usize) -> Result<Value, String> {
    let mut fields = Map::with_capacity(array.num_columns());
    for (name, column) in array.column_names().into_iter().zip(array.columns()) {
        fields.insert(name.to_owned(), value(column, at)?);
    }
    Ok(Value::Object(fields))
}

/// Returns one value of an Arrow array as JSON.
fn value(array: &ArrayRef, at: usize) -> Result<Value, String> {
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(at)),
        DataType::LargeUtf8 => Value::from(array.as_string::<i64>().value(at)),
        DataType::Utf8View => Value::from(array.as_string_view().value(at)),
        DataType::Boolean => Value::from(array.as_boolean().value(at)),
        DataType::Int8 => Value::from(array.as_primitive::<Int8Type>().value(at)),
        DataType::Int16 => Value::from(array.as_primitive::<Int16Type>().value(at)),
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(at)),
        DataType::UInt8 => Value::from(array.as_primitive::<UInt8Type>().value(at)),
        DataType::UInt16 => Value::from(array.as_primitive::<UInt16Type>().value(at)),
        DataType::UInt32 => Value::from(array.as_primitive::<UInt32Type>().value(at)),
        DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(at)),
        DataType::Null => Value::Null,
        DataType::Float32 => Value::from(array.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(at)),
        DataType::Struct(_) => object(array.as_struct(), at)?,
        DataType::List(_) => list(array.as_list::<i32>(), at)?,
        DataType::LargeList(_) => list(array.as_list::<i64>(), at)?,
        DataType::FixedSizeList(..) => {
            let lists: &FixedSizeListArray = array.as_fixed_size_list();
            items(&Arc::clone(&lists.value(at)))?
        }
        DataType::Map(..) => items(&(Arc::new(array.as_map().value(at)) as ArrayRef))?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[at];
            value(dictionary.values(), key)?
        }
        other => return Err(format!("a column of {other} cannot be read as text")),
    })
}

fn list<O: OffsetSizeTrait>(lists: &GenericListArray<O>, at: usize) -> Result<Value, String> {
    items(&lists.value(at))
}

fn items(array: &ArrayRef) -> Result<Value, String> {
    (0..array.len()).map(|at| value(array, at)).collect::<Result<_, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::{Int16Array, StringArray};
    use arrow_schema::Field;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_objects_and_lists() {
        let row = json!({"a": {"b": "x"}, "c": [{"t": "1"}, {"t": "2"}], "d": null});

        assert_eq!(at_path(&row, "a.b"), Some(json!("x")));
        assert_eq!(at_path(&row, "c.1.t"), Some(json!("2")));
        assert_eq!(at_path(&row, "c.*.t"), Some(json!(["1", "2"])));
        assert_eq!(at_path(&row, "c.2.t"), None);
        assert_eq!(at_path(&row, "a.z"), None);
        assert_eq!(text_at(&row, "c.0.t"), Some("1"));
        assert_eq!(text_at(&row, "d"), None);
    }

    #[test]
    fn a_list_adds_no_level_to_a_path_and_a_name_is_a_name() {
        let field = |name: &str, kind| Field::new(name, kind, true);
        let text = |name: &str| field(name, DataType::Utf8);
        let list = |name: &str, of: Field| field(name, DataType::List(Arc::new(of)));
        let answer = DataType::Struct(vec![text("text"), text("item"), text("list")].into());
        let schema = [
            list("answers", field("element", answer.clone())),
            field("element", answer),
            list("deep", list("list", field("item", DataType::Int16))),
            field("when", DataType::Date32),
        ];
        let mut leaves = Vec::new();

        for field in &schema {
            add_leaves(field.name(), field.data_type(), &mut leaves);
        }

        let paths: Vec<&str> = leaves.iter().map(|leaf| leaf.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "answers.text",
                "answers.item",
                "answers.list",
                "element.text",
                "element.item",
                "element.list",
                "deep",
                "when"
            ]
        );
        let unreadable: Vec<&str> =
            leaves.iter().filter_map(|leaf| leaf.unreadable.as_deref()).collect();
        assert_eq!(unreadable, ["Date32"]);
    }

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

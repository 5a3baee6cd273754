//! Reads several columns of a file at once, nested ones too, as JSON values row by row.
//!
//! Instruction data has a question here, a story there and answers in a list. A row is an object
//! of the columns that were asked for, whether it came from parquet or from a line of JSON.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, RecordBatch,
    StructArray,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use serde_json::{Map, Value};

use super::error::SourceError;
use super::{Cell, InputKind, LinesSource, SourceFile};

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

    /// Gives the rows batch by batch to `each` until that returns `false`: the number of the
    /// first, and the rows.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is damaged, or a line of it is no JSON object.
    pub fn read(&self, each: &mut dyn FnMut(u64, Vec<Value>) -> bool) -> Result<(), SourceError> {
        self.read_wanted(&|_| true, each)
    }

    /// As [`Table::read`], with null in the place of every row that is not wanted.
    ///
    /// # Errors
    ///
    /// As [`Table::read`]; of a line that is not wanted it is not known what it holds.
    pub fn read_wanted(
        &self,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<Value>) -> bool,
    ) -> Result<(), SourceError> {
        match &self.kind {
            TableKind::Parquet { metadata, mask } => {
                self.read_parquet(metadata, mask, wanted, each)
            }
            TableKind::Lines(lines) => self.read_lines(lines, wanted, each),
        }
    }

    fn read_parquet(
        &self,
        metadata: &ArrowReaderMetadata,
        mask: &ProjectionMask,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<Value>) -> bool,
    ) -> Result<(), SourceError> {
        let damaged = |first: u64, reason: String| SourceError::Damaged {
            path: self.path.clone(),
            place: format!("row {first}"),
            reason,
        };
        let file = File::open(&self.path)
            .map_err(|source| SourceError::Io { path: self.path.clone(), source })?;
        let reader: ParquetRecordBatchReader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_projection(mask.clone())
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|wrong| damaged(0, wrong.to_string()))?;
        let mut first = 0;
        for batch in reader {
            let batch = batch.map_err(|wrong| damaged(first, wrong.to_string()))?;
            let rows =
                rows_of(&batch, &|at| wanted(first + at)).map_err(|wrong| damaged(first, wrong))?;
            let count = rows.len() as u64;
            if !each(first, rows) {
                break;
            }
            first += count;
        }
        Ok(())
    }

    fn read_lines(
        &self,
        lines: &LinesSource,
        wanted: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(u64, Vec<Value>) -> bool,
    ) -> Result<(), SourceError> {
        let mut wrong = None;
        lines.read(&mut |rows| {
            let mut values = Vec::with_capacity(rows.cells.len());
            for (row, cell) in (rows.first..).zip(&rows.cells) {
                let Cell::Line(number, line) = cell else { continue };
                if !wanted(row) {
                    values.push(Value::Null);
                    continue;
                }
                match serde_json::from_slice(line) {
                    Ok(Value::Object(row)) => values.push(Value::Object(row)),
                    other => {
                        let reason = other.map_or_else(
                            |wrong| format!("not JSON: {wrong}"),
                            |_| "not a JSON object".to_owned(),
                        );
                        wrong = Some((*number, reason));
                        return false;
                    }
                }
            }
            each(rows.first, values)
        })?;
        wrong.map_or(Ok(()), |(number, reason)| {
            Err(SourceError::Damaged {
                path: self.path.clone(),
                place: format!("line {number}"),
                reason,
            })
        })
    }
}

fn open_parquet(path: &Path, paths: &[&str]) -> Result<TableKind, SourceError> {
    let file =
        File::open(path).map_err(|source| SourceError::Io { path: path.to_owned(), source })?;
    let metadata =
        ArrowReaderMetadata::load(&file, parquet::arrow::arrow_reader::ArrowReaderOptions::new())
            .map_err(|wrong| SourceError::Damaged {
            path: path.to_owned(),
            place: "its footer".into(),
            reason: wrong.to_string(),
        })?;
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> =
        schema.columns().iter().map(|column| plain_path(column.path().parts())).collect();
    let mut leaves = Vec::new();
    for wanted in paths {
        let wanted_parts: Vec<&str> = wanted.split('.').filter(|part| !is_place(part)).collect();
        let wanted_path = wanted_parts.join(".");
        let inside = format!("{wanted_path}.");
        let before = leaves.len();
        leaves.extend(names.iter().enumerate().filter_map(|(leaf, name)| {
            (*name == wanted_path || name.starts_with(&inside)).then_some(leaf)
        }));
        if leaves.len() == before {
            let mut present = names.clone();
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

/// Returns the path of a leaf without the two levels that a list adds.
fn plain_path(parts: &[String]) -> String {
    let wrapper = |name: &str| {
        matches!(name, "list" | "element" | "array" | "item" | "bag" | "array_element")
    };
    let mut plain: Vec<&str> = Vec::new();
    for (depth, part) in parts.iter().enumerate() {
        if depth == 0 || !wrapper(part) {
            plain.push(part);
        }
    }
    plain.join(".")
}

/// Returns whether a part of a path is a place in a list.
fn is_place(part: &str) -> bool {
    part == "*" || part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns what lies at a path of a row; `None` where nothing does.
///
/// `*` gathers what lies at the rest of the path in every place of a list.
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
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float32 => Value::from(array.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(at)),
        DataType::Struct(_) => object(array.as_struct(), at)?,
        DataType::List(_) => list(array.as_list::<i32>(), at)?,
        DataType::LargeList(_) => list(array.as_list::<i64>(), at)?,
        DataType::FixedSizeList(..) => {
            let lists: &FixedSizeListArray = array.as_fixed_size_list();
            items(&Arc::clone(&lists.value(at)))?
        }
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
    use super::*;
    use serde_json::json;

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
    fn a_list_adds_no_level_to_a_path() {
        let parts = ["answers", "list", "element", "text"].map(String::from);

        assert_eq!(plain_path(&parts), "answers.text");
    }
}

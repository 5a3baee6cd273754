//! What a decision sees of a row: its text and the columns that it asked for.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use ratdata_tokenize::source::at_path;

use crate::predicate::{Columns, Value};

/// A row, as a decision sees it.
pub struct RowView<'a> {
    /// Its place in the file, from 0.
    pub row: u64,
    /// Its text; empty where the decision needs none and there is none.
    pub text: &'a str,
    /// The columns that the decision asked for.
    pub columns: &'a dyn Columns,
}

/// The one column of a plain text.
pub(crate) struct TextColumn<'a>(pub(crate) &'a str);

impl Columns for TextColumn<'_> {
    fn value(&self, _: usize) -> Result<Value<'_>, String> {
        Ok(Value::Text(Cow::Borrowed(self.0)))
    }
}

/// The columns of a row of a table.
pub(crate) struct TableColumns<'a> {
    pub(crate) arrays: &'a [ArrayRef],
    pub(crate) row: usize,
}

impl Columns for TableColumns<'_> {
    fn value(&self, column: usize) -> Result<Value<'_>, String> {
        self.arrays.get(column).map_or(Ok(Value::Null), |array| value_of(array, self.row))
    }
}

/// The fields of a line of JSON.
pub(crate) struct JsonColumns<'a> {
    pub(crate) names: &'a [String],
    pub(crate) object: &'a serde_json::Value,
}

impl Columns for JsonColumns<'_> {
    fn value(&self, column: usize) -> Result<Value<'_>, String> {
        use serde_json::Value as Json;
        let name = &self.names[column];
        let found = match self.object.get(name) {
            Some(found) => Cow::Borrowed(found),
            None => match at_path(self.object, name) {
                Some(found) => Cow::Owned(found),
                None => return Ok(Value::Null),
            },
        };
        Ok(match found {
            Cow::Borrowed(Json::String(text)) => Value::Text(Cow::Borrowed(text)),
            Cow::Owned(Json::String(text)) => Value::Text(Cow::Owned(text)),
            other => match other.as_ref() {
                Json::Null => Value::Null,
                Json::Bool(is) => Value::Bool(*is),
                Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => Value::Int(whole),
                    (None, Some(number)) => Value::Float(number),
                    (None, None) => Value::Null,
                },
                Json::Array(_) => return Err(format!("`{name}` is a list")),
                _ => return Err(format!("`{name}` is an object")),
            },
        })
    }
}

/// Returns the arrays of the columns that are asked for; a name has dots where it is nested.
pub(crate) fn arrays_of(batch: &RecordBatch, names: &[String]) -> Vec<ArrayRef> {
    let find = |name: &String| -> Option<ArrayRef> {
        if let Some(array) = batch.column_by_name(name) {
            return Some(array.clone());
        }
        let mut parts = name.split('.');
        let mut array = batch.column_by_name(parts.next()?)?.clone();
        for part in parts {
            array = array.as_struct_opt()?.column_by_name(part)?.clone();
        }
        Some(array)
    };
    // A column that is not there was refused when the file was opened.
    names.iter().filter_map(find).collect()
}

/// Returns the text of a row; none where it is null or the column holds something else.
pub(crate) fn text_of(array: &dyn Array, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            text_of(dictionary.values().as_ref(), key_of(dictionary.keys(), row)?)
        }
        _ => None,
    }
}

/// Returns the place in a dictionary that a key means.
fn key_of(keys: &dyn Array, row: usize) -> Option<usize> {
    match value_of(keys, row) {
        Ok(Value::Int(key)) => usize::try_from(key).ok(),
        _ => None,
    }
}

/// Returns one value of a column.
fn value_of(array: &dyn Array, row: usize) -> Result<Value<'_>, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => {
            let number = array.as_primitive::<UInt64Type>().value(row);
            i64::try_from(number).map_or(Value::Float(number as f64), Value::Int)
        }
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Null => Value::Null,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = key_of(dictionary.keys(), row).ok_or("a key of a dictionary is wrong")?;
            return value_of(dictionary.values().as_ref(), key);
        }
        kind => match text_of(array, row) {
            Some(text) => Value::Text(Cow::Borrowed(text)),
            None => return Err(format!("a column of {kind} cannot be compared")),
        },
    })
}

/// Returns a number as a value; what is none is null.
fn number<'a>(number: f64) -> Value<'a> {
    if number.is_nan() { Value::Null } else { Value::Float(number) }
}

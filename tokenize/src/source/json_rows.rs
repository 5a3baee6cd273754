//! Rows of Arrow's columns as JSON values, and what is at a path of such a row.

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
use serde_json::{Map, Value};

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

/// Returns the rows of a batch as objects, and null in the place of those that are not wanted.
pub(super) fn rows_of(
    batch: &RecordBatch,
    wanted: &dyn Fn(u64) -> bool,
) -> Result<Vec<Value>, String> {
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
}

//! Columns by their names: which of a table are read, as what, and what is left of them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, OffsetSizeTrait, StructArray,
};
use arrow_schema::{DataType, Field, FieldRef, Schema};

/// Returns a schema in which texts are bytes: their UTF-8 is then checked row by row, not batch by batch.
pub(super) fn with_bytes(schema: &Schema) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().map(bytes_field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn bytes_field(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(bytes_type(field.data_type())))
}

fn bytes_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8 => DataType::Binary,
        DataType::LargeUtf8 => DataType::LargeBinary,
        DataType::Utf8View => DataType::BinaryView,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(bytes_field).collect()),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(bytes_type(values)))
        }
        other => other.clone(),
    }
}

/// Returns what a column holds, by its name with dots; none where there is no such column.
pub(super) fn type_at<'a>(schema: &'a Schema, column: &str) -> Option<&'a DataType> {
    let mut fields = schema.fields();
    let mut rest = column;
    loop {
        if let Some(field) = fields.iter().find(|field| field.name() == rest) {
            return Some(field.data_type());
        }
        // A name may have dots of its own, so the longest one is tried first.
        let (parent, inner) = rest.match_indices('.').find_map(|(dot, _)| {
            let field = fields.iter().find(|field| field.name() == &rest[..dot])?;
            Some((field, &rest[dot + 1..]))
        })?;
        let DataType::Struct(inside) = parent.data_type() else { return None };
        (fields, rest) = (inside, inner);
    }
}

/// Returns the names of all columns without columns in them, with dots.
pub(super) fn names(schema: &Schema) -> Vec<String> {
    fn add(path: String, kind: &DataType, found: &mut Vec<String>) {
        match kind {
            DataType::Struct(fields) => {
                for field in fields {
                    add(format!("{path}.{}", field.name()), field.data_type(), found);
                }
            }
            _ => found.push(path),
        }
    }
    let mut found = Vec::new();
    for field in schema.fields() {
        add(field.name().clone(), field.data_type(), &mut found);
    }
    found
}

/// Returns a column with those of its inner columns that `is_read` says are read, by their names with dots; none
/// where none is. Lists add no name.
pub(in crate::source) fn pruned(
    path: &str,
    field: &Field,
    array: &ArrayRef,
    is_read: &dyn Fn(&str) -> bool,
) -> Option<(FieldRef, ArrayRef)> {
    let keep = |kind: DataType, array: ArrayRef| {
        (Arc::new(field.clone().with_data_type(kind)) as FieldRef, array)
    };
    match field.data_type() {
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let inner: Vec<(FieldRef, ArrayRef)> = fields
                .iter()
                .zip(structs.columns())
                .filter_map(|(field, array)| {
                    pruned(&format!("{path}.{}", field.name()), field, array, is_read)
                })
                .collect();
            if inner.is_empty() {
                return None;
            }
            let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = inner.into_iter().unzip();
            let nulls = structs.nulls().cloned();
            let array = StructArray::try_new(fields.clone().into(), arrays, nulls).ok()?;
            Some(keep(DataType::Struct(fields.into()), Arc::new(array)))
        }
        DataType::List(item) => {
            let (item, array) = pruned_list::<i32>(path, item, array, is_read)?;
            Some(keep(DataType::List(item), array))
        }
        DataType::LargeList(item) => {
            let (item, array) = pruned_list::<i64>(path, item, array, is_read)?;
            Some(keep(DataType::LargeList(item), array))
        }
        DataType::FixedSizeList(item, size) => {
            let lists = array.as_fixed_size_list();
            let (item, values) = pruned(path, item, lists.values(), is_read)?;
            let nulls = lists.nulls().cloned();
            let array = FixedSizeListArray::try_new(item.clone(), *size, values, nulls).ok()?;
            Some(keep(DataType::FixedSizeList(item, *size), Arc::new(array)))
        }
        _ => is_read(path).then(|| (Arc::new(field.clone()) as FieldRef, array.clone())),
    }
}

fn pruned_list<O: OffsetSizeTrait>(
    path: &str,
    item: &FieldRef,
    array: &ArrayRef,
    is_read: &dyn Fn(&str) -> bool,
) -> Option<(FieldRef, ArrayRef)> {
    let lists: &GenericListArray<O> = array.as_list();
    let (item, values) = pruned(path, item, lists.values(), is_read)?;
    let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
    let array = GenericListArray::try_new(item.clone(), offsets, values, nulls).ok()?;
    Some((item, Arc::new(array)))
}

//! Columns of lists of numbers, as Arrow and parquet have them: filled row by row, taken batch by batch.

use std::sync::Arc;

use arrow_array::builder::{Int8Builder, Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};
use ratdata_schemas::TokenId;

use super::error::TranscodeError;

/// Returns a column of lists.
pub(super) fn list_field(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new_list_field(item, true))), true)
}

/// A column of lists of 32-bit numbers.
#[derive(Default)]
pub(super) struct Int32Lists(ListBuilder<Int32Builder>);

impl Int32Lists {
    /// Appends a row.
    pub(super) fn push(&mut self, numbers: impl Iterator<Item = i32>) {
        numbers.for_each(|number| self.0.values().append_value(number));
        self.0.append(true);
    }

    /// Appends a row of numbers that are not negative: ids, places and lengths are below 2^31.
    pub(super) fn push_unsigned(&mut self, numbers: impl Iterator<Item = TokenId>) {
        self.push(numbers.map(TokenId::cast_signed));
    }

    pub(super) fn take(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// A column of lists of flags, as 8-bit numbers.
#[derive(Default)]
pub(super) struct FlagLists(ListBuilder<Int8Builder>);

impl FlagLists {
    /// Appends a row.
    pub(super) fn push(&mut self, flags: impl Iterator<Item = bool>) {
        flags.for_each(|flag| self.0.values().append_value(i8::from(flag)));
        self.0.append(true);
    }

    pub(super) fn take(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Returns the rows of columns that belong together.
pub(super) fn rows_of(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<RecordBatch, TranscodeError> {
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|wrong| TranscodeError::Table { reason: wrong.to_string() })
}

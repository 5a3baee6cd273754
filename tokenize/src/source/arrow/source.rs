//! The text column of an Arrow file, row by row and without a copy where it is stored plainly.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, GenericBinaryArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::data_type::ByteArray;

use super::columns::{names, type_at, with_bytes};
use super::messages::Messages;
use crate::source::error::SourceError;
use crate::source::foreign;
use crate::source::input_file::InputFile;
use crate::source::rows::{Batches, Cell, Rows, Stopped};
use crate::source::streams::Compression;

/// An Arrow file with its text column.
#[derive(Debug)]
pub struct ArrowSource {
    file: InputFile,
    compression: Compression,
    column: String,
    /// The file's columns, with texts as bytes.
    schema: SchemaRef,
    /// The place of the column that has the text, or that has the column that has it.
    root: usize,
}

impl ArrowSource {
    /// Opens a file and finds its text column; nested columns are named with dots.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no Arrow file, or has no such column of text.
    pub fn open(path: &Path, compression: Compression, column: &str) -> Result<Self, SourceError> {
        let file = InputFile::find(path)?;
        foreign::check(&file)?;
        let messages = Messages::open(&file, compression, &Arc::default())?;
        let schema = messages.schema();
        let count = schema.fields().iter().filter(|field| field.name() == column).count();
        let (path, column) = (path.to_owned(), column.to_owned());
        if count > 1 {
            return Err(SourceError::DoubledColumn { path, column, count });
        }
        let Some(kind) = type_at(schema, &column) else {
            return Err(SourceError::NoColumn { path, column, present: names(schema) });
        };
        if !is_text(kind) {
            return Err(SourceError::ColumnType { path, column, found: kind.to_string() });
        }
        let is_root = |name: &String| {
            column
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let whole = schema.fields().iter().position(|field| *field.name() == column);
        let root = whole.or_else(|| schema.fields().iter().position(|field| is_root(field.name())));
        let schema = Arc::new(with_bytes(schema));
        Ok(Self { file, compression, column, schema, root: root.unwrap_or(0) })
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &InputFile {
        &self.file
    }

    /// Returns how the file is compressed as a whole.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Reads the texts of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is cut or damaged, or `stopped` said so.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        let taken: Arc<AtomicU64> = Arc::default();
        let mut messages = Messages::open(&self.file, self.compression, &taken)?;
        messages.set_schema(self.schema.clone());
        let mut batches = Batches::new(&taken, each);
        while let Some(batch) = messages.next_batch(&[self.root], stopped)? {
            let place = format!("row {}", batches.next_row());
            let Some(texts) = Texts::of(&batch, &self.column) else {
                return Err(messages.damaged(&place, "a batch without the text column"));
            };
            for row in 0..batch.num_rows() {
                let cell = texts.cell(row);
                let bytes = cell.bytes();
                if !batches.push(cell, bytes) {
                    return Ok(());
                }
            }
        }
        batches.hand_on();
        Ok(())
    }
}

/// Returns whether a column holds texts.
fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The texts of a batch.
struct Texts {
    /// The columns that the text is in; where one of them is null, so is the text.
    around: Vec<ArrayRef>,
    array: ArrayRef,
    /// All bytes of an array that is stored plainly.
    plain: Option<Bytes>,
    /// The places of the values in a dictionary, where it has one.
    keys: Option<Vec<usize>>,
}

impl Texts {
    fn of(batch: &RecordBatch, column: &str) -> Option<Self> {
        let mut array = batch.columns().first()?.clone();
        let name = batch.schema_ref().fields().first()?.name().clone();
        let mut rest = column.strip_prefix(name.as_str())?.strip_prefix('.');
        let mut around = Vec::new();
        while let Some(path) = rest {
            let structs = array.as_struct_opt()?.clone();
            let field = structs.fields().iter().position(|field| {
                path.strip_prefix(field.name().as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })?;
            rest = path.strip_prefix(structs.fields()[field].name().as_str())?.strip_prefix('.');
            around.push(array);
            array = structs.column(field).clone();
        }
        let owned = |values: &arrow_buffer::Buffer| Bytes::from_owner(values.clone());
        let plain = match array.data_type() {
            DataType::Binary => Some(owned(array.as_binary::<i32>().values())),
            DataType::LargeBinary => Some(owned(array.as_binary::<i64>().values())),
            _ => None,
        };
        let dictionary = array.as_any_dictionary_opt();
        let keys = dictionary
            .filter(|dictionary| !dictionary.values().is_empty())
            .map(arrow_array::array::AnyDictionaryArray::normalized_keys);
        Some(Self { around, array, plain, keys })
    }

    fn cell(&self, row: usize) -> Cell {
        if self.around.iter().any(|array| array.is_null(row)) || self.array.is_null(row) {
            return Cell::Null;
        }
        let text = match (&self.plain, self.array.data_type()) {
            (Some(plain), DataType::Binary) => slice(plain, self.array.as_binary::<i32>(), row),
            (Some(plain), _) => slice(plain, self.array.as_binary::<i64>(), row),
            (None, _) => self.copied(row).map(Into::into),
        };
        text.map_or(Cell::Null, Cell::Bytes)
    }

    /// Returns a copy of a text that is not stored plainly.
    fn copied(&self, row: usize) -> Option<Vec<u8>> {
        match (&self.keys, self.array.as_any_dictionary_opt()) {
            (Some(keys), Some(dictionary)) => value(dictionary.values(), keys[row]),
            _ => value(&self.array, row),
        }
    }
}

/// Returns a text as a part of all bytes.
fn slice<O: OffsetSizeTrait>(
    plain: &Bytes,
    array: &GenericBinaryArray<O>,
    row: usize,
) -> Option<ByteArray> {
    let offsets = array.value_offsets();
    let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
    (end <= plain.len()).then(|| plain.slice(start..end).into())
}

/// Returns a copy of one value of an array of bytes.
fn value(array: &ArrayRef, row: usize) -> Option<Vec<u8>> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Some(array.as_binary_view().value(row).to_vec()),
        _ => None,
    }
}

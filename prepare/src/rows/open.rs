//! Opens an input file with all its columns.

use std::path::Path;

use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::statistics::Statistics;
use ratdata_tokenize::source::{
    ArrowTable, InputFile, InputKind, ReadAt, Source, SourceError, SourceFile,
};

use crate::error::PrepareError;
use crate::predicate::{ColumnRange, Type, Value};

/// How many rows of a table are read at a time.
const BATCH_ROWS: usize = 512;

/// An input file that is open.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: SourceFile,
    pub(crate) source: Option<Source>,
    table: Option<OpenTable>,
}

/// A table that is open, for all threads.
#[derive(Debug)]
enum OpenTable {
    Parquet(OpenParquet),
    Arrow(ArrowTable),
}

/// A parquet file that is open: what is fetched of an object is shared by all threads.
#[derive(Debug)]
struct OpenParquet {
    metadata: ArrowReaderMetadata,
    bytes: ReadAt,
}

impl OpenFile {
    /// Opens a file. Where no text is needed, a table does not have to have the column of it.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is damaged, or lacks the text column.
    pub(crate) fn open(
        file: &SourceFile,
        text_column: &str,
        needs_text: bool,
    ) -> Result<Self, PrepareError> {
        let source = match Source::open(file, text_column) {
            Ok(source) => Some(source),
            Err(SourceError::NoColumn { .. } | SourceError::ColumnType { .. }) if !needs_text => {
                if file.kind.is_table() {
                    None
                } else {
                    Some(Source::open_without_text(file)?)
                }
            }
            Err(wrong) => return Err(wrong.into()),
        };
        let table = match file.kind {
            InputKind::Parquet => Some(OpenTable::Parquet(parquet_of(&file.path)?)),
            InputKind::Arrow(compression) => {
                Some(OpenTable::Arrow(ArrowTable::open(&file.path, compression)?))
            }
            _ => None,
        };
        Ok(Self { file: file.clone(), source, table })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    fn parquet(&self) -> Option<&OpenParquet> {
        match &self.table {
            Some(OpenTable::Parquet(parquet)) => Some(parquet),
            _ => None,
        }
    }

    /// Returns how many row groups it has, which are read each by itself; none where it is no parquet file.
    pub fn num_groups(&self) -> Option<usize> {
        self.parquet().map(|parquet| parquet.metadata.metadata().num_row_groups())
    }

    /// Returns the file where it is a table that is read from its beginning to its end.
    pub(crate) fn batches(&self) -> Option<&ArrowTable> {
        match &self.table {
            Some(OpenTable::Arrow(arrow)) => Some(arrow),
            _ => None,
        }
    }

    /// Returns how many rows a row group has.
    pub(crate) fn group_rows(&self, group: usize) -> u64 {
        let parquet = self.parquet().map(|parquet| parquet.metadata.metadata());
        let rows = parquet.map(|parquet| parquet.row_group(group).num_rows());
        rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0)
    }

    /// Returns how many rows a parquet file has.
    pub(crate) fn num_rows(&self) -> u64 {
        (0..self.num_groups().unwrap_or(0)).map(|group| self.group_rows(group)).sum()
    }

    /// Returns the columns of a table; none where it is no table.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        match self.table.as_ref()? {
            OpenTable::Parquet(parquet) => Some(parquet.metadata.schema()),
            OpenTable::Arrow(arrow) => Some(arrow.schema()),
        }
    }

    /// Reads a row group with all its columns.
    pub(crate) fn read_group(
        &self,
        group: usize,
    ) -> Result<ParquetRecordBatchReader, PrepareError> {
        let wrong = |reason: String| PrepareError::Table {
            path: self.file.path.clone(),
            place: format!("row group {group}"),
            reason,
        };
        let Some(parquet) = self.parquet() else {
            return Err(wrong("it is no parquet file".into()));
        };
        let (bytes, metadata) = (parquet.bytes.clone(), parquet.metadata.clone());
        ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|reason| wrong(reason.to_string()))
    }

    /// Returns the names of the columns of a table, nested ones with dots, and what each holds; none
    /// where no predicate can use it.
    pub(crate) fn columns(&self) -> Vec<(String, Option<Type>)> {
        fn add(path: &str, kind: &DataType, found: &mut Vec<(String, Option<Type>)>) {
            if let DataType::Struct(fields) = kind {
                for field in fields {
                    add(&format!("{path}.{}", field.name()), field.data_type(), found);
                }
                return;
            }
            found.push((path.to_owned(), type_of(kind)));
        }
        let mut found = Vec::new();
        for field in self.schema().into_iter().flat_map(|schema| schema.fields()) {
            add(field.name(), field.data_type(), &mut found);
        }
        found
    }

    /// Returns the names of the columns of a table, without those within them.
    pub(crate) fn top_columns(&self) -> Vec<String> {
        let fields = self.schema().into_iter().flat_map(|schema| schema.fields());
        fields.map(|field| field.name().clone()).collect()
    }

    /// Returns what the footer says of a column's values in a row group.
    pub(crate) fn range(&self, group: usize, column: &str) -> ColumnRange {
        let Some(parquet) = self.parquet() else { return ColumnRange::default() };
        let chunks = parquet.metadata.metadata().row_group(group).columns();
        let Some(chunk) = chunks.iter().find(|chunk| chunk.column_path().string() == column) else {
            return ColumnRange::default();
        };
        let Some(statistics) = chunk.statistics() else { return ColumnRange::default() };
        let all_null = statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok();
        ColumnRange { ends: ends_of(statistics, self.types_of(column)), all_null }
    }

    /// Returns what the schema says that a column holds.
    fn types_of(&self, column: &str) -> Option<DataType> {
        let mut fields = self.schema()?.fields();
        let mut parts = column.split('.').peekable();
        loop {
            let part = parts.next()?;
            let kind = fields.iter().find(|field| field.name() == part)?.data_type();
            match kind {
                DataType::Struct(inner) if parts.peek().is_some() => fields = inner,
                kind => return Some(kind.clone()),
            }
        }
    }
}

fn parquet_of(path: &Path) -> Result<OpenParquet, PrepareError> {
    let bytes = InputFile::find(path)?.at_any_place()?;
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new());
    let metadata = metadata.map_err(|wrong| PrepareError::Table {
        path: path.to_owned(),
        place: "its footer".into(),
        reason: wrong.to_string(),
    })?;
    Ok(OpenParquet { metadata, bytes })
}

/// Returns what a predicate can do with a column of a kind.
pub(super) fn type_of(kind: &DataType) -> Option<Type> {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Type::Text),
        DataType::Dictionary(_, values) => type_of(values),
        DataType::Boolean => Some(Type::Bool),
        DataType::Float32 | DataType::Float64 => Some(Type::Number),
        DataType::Null => Some(Type::Any),
        kind if kind.is_integer() => Some(Type::Number),
        _ => None,
    }
}

/// Returns the ends of a column's range, where the two have the order of its values.
fn ends_of(
    statistics: &Statistics,
    kind: Option<DataType>,
) -> Option<(Value<'static>, Value<'static>)> {
    let kind = kind?;
    // The bits of unsigned numbers are stored as signed ones.
    if kind.is_unsigned_integer() {
        return None;
    }
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Value::Text(std::borrow::Cow::Owned(text.to_owned())))
    };
    Some(match statistics {
        Statistics::Int32(of) if kind.is_signed_integer() => {
            (Value::Int((*of.min_opt()?).into()), Value::Int((*of.max_opt()?).into()))
        }
        Statistics::Int64(of) if kind.is_signed_integer() => {
            (Value::Int(*of.min_opt()?), Value::Int(*of.max_opt()?))
        }
        Statistics::Float(of) => {
            let (least, most) = (f64::from(*of.min_opt()?), f64::from(*of.max_opt()?));
            if least.is_nan() || most.is_nan() {
                return None;
            }
            (Value::Float(least), Value::Float(most))
        }
        Statistics::Double(of) => {
            let (least, most) = (*of.min_opt()?, *of.max_opt()?);
            if least.is_nan() || most.is_nan() {
                return None;
            }
            (Value::Float(least), Value::Float(most))
        }
        Statistics::ByteArray(of) if type_of(&kind) == Some(Type::Text) => {
            // Old writers compared bytes as signed ones.
            if statistics.is_min_max_deprecated() {
                return None;
            }
            (text(of.min_opt()?.data())?, text(of.max_opt()?.data())?)
        }
        _ => return None,
    })
}

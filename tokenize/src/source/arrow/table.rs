//! The record batches of an Arrow file, with all columns or some.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};

use super::messages::Messages;
use crate::source::error::SourceError;
use crate::source::foreign;
use crate::source::input_file::InputFile;
use crate::source::rows::Stopped;
use crate::source::streams::Compression;

/// An Arrow file that is read batch by batch.
#[derive(Debug)]
pub struct ArrowTable {
    file: InputFile,
    compression: Compression,
    schema: SchemaRef,
    /// The places of the columns that are read.
    columns: Vec<usize>,
}

impl ArrowTable {
    /// Opens a file to read all its columns.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no Arrow file, or has a column of unions.
    pub fn open(path: &Path, compression: Compression) -> Result<Self, SourceError> {
        let table = Self::look(path, compression)?;
        let all = (0..table.schema.fields().len()).collect();
        table.with_columns(all)
    }

    /// Opens a file to read its schema.
    pub(in crate::source) fn look(
        path: &Path,
        compression: Compression,
    ) -> Result<Self, SourceError> {
        let file = InputFile::find(path)?;
        foreign::check(&file)?;
        let schema = Messages::open(&file, compression, &Arc::default())?.schema().clone();
        Ok(Self { file, compression, schema, columns: Vec::new() })
    }

    /// Has the columns at these places read, in their order.
    pub(in crate::source) fn with_columns(self, columns: Vec<usize>) -> Result<Self, SourceError> {
        for &column in &columns {
            let field = self.schema.field(column);
            // The decoder takes the numbers of unions on trust.
            if has_union(field.data_type()) {
                return Err(SourceError::ColumnType {
                    path: self.file.path().to_owned(),
                    column: field.name().clone(),
                    found: field.data_type().to_string(),
                });
            }
        }
        Ok(Self { columns, ..self })
    }

    /// Returns all columns of the file.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Gives each batch, and how many bytes of the file were taken for it, to `each` until that returns `false`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is cut or damaged, or `stopped` said so.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(RecordBatch, u64) -> bool,
    ) -> Result<(), SourceError> {
        let taken: Arc<AtomicU64> = Arc::default();
        let mut messages = Messages::open(&self.file, self.compression, &taken)?;
        let mut reported = 0;
        while let Some(batch) = messages.next_batch(&self.columns, stopped)? {
            let taken = taken.load(Ordering::Relaxed);
            if !each(batch, taken - reported) {
                break;
            }
            reported = taken;
        }
        Ok(())
    }
}

fn has_union(kind: &DataType) -> bool {
    match kind {
        DataType::Union(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_union(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => has_union(item.data_type()),
        DataType::RunEndEncoded(_, values) => has_union(values.data_type()),
        DataType::Dictionary(_, values) => has_union(values),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, DictionaryArray, Int64Array, LargeStringArray, StringArray, StringViewArray,
        StructArray,
    };
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use arrow_schema::Field;

    use super::super::ArrowSource;
    use super::*;
    use crate::source::row_text;
    use crate::source::{Cell, Undecodable};

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(nullable).unwrap()
    }

    fn rows() -> RecordBatch {
        let texts: Vec<Option<String>> =
            (0..600).map(|row| (row % 7 > 0).then(|| format!("text {row}"))).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..600));
        batch(vec![("n", numbers), ("text", Arc::new(StringArray::from(texts)))])
    }

    fn stream(folder: &Path, batches: &[RecordBatch], options: IpcWriteOptions) -> PathBuf {
        let path = folder.join("x.arrow");
        let file = File::create(&path).unwrap();
        let schema = batches[0].schema();
        let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    /// Returns the texts of a file; null is none.
    fn texts(path: &Path, column: &str) -> Result<Vec<Option<String>>, SourceError> {
        let source = ArrowSource::open(path, Compression::None, column)?;
        let mut found = Vec::new();
        source.read(&|| false, &mut |rows| {
            assert_eq!(rows.first, found.len() as u64);
            found.extend(rows.cells.iter().map(|cell| match cell {
                Cell::Bytes(bytes) => {
                    let read = row_text::of_bytes(bytes.data(), "it", Undecodable::Replace);
                    Some(read.unwrap().text.into_owned())
                }
                _ => None,
            }));
            true
        })?;
        Ok(found)
    }

    fn expected() -> Vec<Option<String>> {
        (0..600).map(|row| (row % 7 > 0).then(|| format!("text {row}"))).collect()
    }

    #[test]
    fn streams_and_files_and_compressed_columns_have_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let batches = [rows().slice(0, 10), rows().slice(10, 590)];
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let options = || IpcWriteOptions::default().try_with_compression(compression).unwrap();
            let path = stream(folder.path(), &batches, options());
            assert_eq!(texts(&path, "text").unwrap(), expected(), "{compression:?}");

            let path = folder.path().join("file.arrow");
            let file = File::create(&path).unwrap();
            let schema = batches[0].schema();
            let mut writer = FileWriter::try_new_with_options(file, &schema, options()).unwrap();
            for batch in &batches {
                writer.write(batch).unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(texts(&path, "text").unwrap(), expected(), "file, {compression:?}");
        }
        let mut bytes = 0;
        let path = folder.path().join("x.arrow");
        let table = ArrowTable::open(&path, Compression::None).unwrap();
        let mut found = Vec::new();
        table
            .read(&|| false, &mut |batch, taken| {
                found.push(batch);
                bytes += taken;
                true
            })
            .unwrap();
        assert_eq!(found, batches);
        assert_eq!(bytes, path.metadata().unwrap().len());
    }

    #[test]
    fn every_kind_of_text_column_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let plain = expected();
        let dictionary: DictionaryArray<Int32Type> = plain.iter().map(Option::as_deref).collect();
        let inner: ArrayRef = Arc::new(StringArray::from(plain.clone()));
        let nested = StructArray::from(vec![(
            Arc::new(Field::new("text", DataType::Utf8, true)),
            inner.clone(),
        )]);
        let columns: [(&str, ArrayRef); 5] = [
            ("text", inner),
            ("text", Arc::new(LargeStringArray::from(plain.clone()))),
            ("text", Arc::new(StringViewArray::from_iter(plain.clone()))),
            ("text", Arc::new(dictionary)),
            ("meta", Arc::new(nested)),
        ];
        for (name, column) in columns {
            let kind = column.data_type().clone();
            let column = batch(vec![(name, column)]);
            let path = stream(folder.path(), &[column], IpcWriteOptions::default());
            let asked = if name == "meta" { "meta.text" } else { name };
            assert_eq!(texts(&path, asked).unwrap(), plain, "{kind}");
        }
    }

    #[test]
    fn columns_and_files_that_are_wrong_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = stream(folder.path(), &[rows()], IpcWriteOptions::default());
        let told = |column: &str| texts(&path, column).unwrap_err().to_string();

        assert!(told("body").contains("no column `body`; the columns are: n, text"));
        assert!(told("n").contains("column `n` holds Int64, expected text"), "{}", told("n"));

        let whole = std::fs::read(&path).unwrap();
        for len in (1..whole.len()).step_by(61).chain([whole.len() - 8, whole.len() - 1]) {
            std::io::Write::write_all(&mut File::create(&path).unwrap(), &whole[..len]).unwrap();
            let told = texts(&path, "text").unwrap_err().to_string();
            assert!(told.contains("damaged at "), "{len}: {told}");
        }
        std::io::Write::write_all(&mut File::create(&path).unwrap(), b"FEA1....").unwrap();
        let told = told("text");
        assert!(told.contains("found `FEA1....`, expected the mark of an Arrow file"), "{told}");
    }

    #[test]
    fn a_text_that_is_not_utf8_is_a_bad_row_and_not_a_bad_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = stream(folder.path(), &[rows()], IpcWriteOptions::default());
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(8).position(|found| found == b"text 599").unwrap();
        bytes[at] = 0xff;
        std::io::Write::write_all(&mut File::create(&path).unwrap(), &bytes).unwrap();

        let texts = texts(&path, "text").unwrap();

        assert_eq!(texts[599].as_deref(), Some("\u{fffd}ext 599"));
        assert_eq!(texts[598].as_deref(), Some("text 598"));
    }
}

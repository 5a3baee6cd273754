//! Writes the rows that are kept: a table with the schema of its input, or compressed lines.

use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use ratdata_schemas::{ArtifactError, FileRecord, StagedFile};
use ratdata_tokenize::source::SourceError;

use super::open::OpenFile;
use super::piece::Piece;
use crate::error::PrepareError;

/// How much of a row group is kept in memory, compressed, before it is written.
const GROUP_BYTES: usize = 64 << 20;

/// How hard lines and pages are compressed: a higher level takes longer than all else.
const LEVEL: i32 = 1;

/// Writes the rows of one file.
pub(crate) enum RowWriter {
    Table(Box<ArrowWriter<StagedFile>>),
    Lines(Box<StagedFile>, bool),
}

impl RowWriter {
    /// The ending of the file that is written for an input.
    pub(crate) fn ending(is_table: bool) -> &'static str {
        if is_table { "parquet" } else { "jsonl.zst" }
    }

    /// Begins the file at a path.
    pub(crate) fn create(open: &OpenFile, path: &Path) -> Result<Self, PrepareError> {
        let file = StagedFile::create(path)?;
        let Some(schema) = open.schema() else { return Ok(Self::Lines(Box::new(file), false)) };
        let level = ZstdLevel::try_new(LEVEL).map_err(|wrong| table_error(open.path(), &wrong))?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|wrong| table_error(open.path(), &wrong))?;
        Ok(Self::Table(Box::new(writer)))
    }

    /// Writes the rows of a piece.
    pub(crate) fn write(&mut self, piece: &Piece, path: &Path) -> Result<(), PrepareError> {
        match self {
            Self::Table(writer) => {
                for batch in &piece.tables {
                    writer.write(batch).map_err(|wrong| table_error(path, &wrong))?;
                    if writer.in_progress_size() > GROUP_BYTES {
                        writer.flush().map_err(|wrong| table_error(path, &wrong))?;
                    }
                }
                Ok(())
            }
            Self::Lines(file, any) => {
                *any |= !piece.lines.is_empty();
                Ok(file.write(&piece.lines)?)
            }
        }
    }

    /// Gives the file its name, and returns its record in the folder `root`.
    pub(crate) fn finish(self, root: &Path, path: &Path) -> Result<FileRecord, PrepareError> {
        let file = match self {
            Self::Table(writer) => {
                writer.into_inner().map_err(|wrong| table_error(path, &wrong))?
            }
            Self::Lines(mut file, any) => {
                end_lines(&mut file, any, path)?;
                *file
            }
        };
        Ok(file.commit_record(root)?)
    }
}

/// Writes the log of rows that are not kept.
pub(crate) struct LogWriter {
    file: StagedFile,
    any: bool,
}

impl LogWriter {
    pub(crate) fn create(path: &Path) -> Result<Self, PrepareError> {
        Ok(Self { file: StagedFile::create(path)?, any: false })
    }

    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), PrepareError> {
        self.any |= !frame.is_empty();
        Ok(self.file.write(frame)?)
    }

    pub(crate) fn finish(mut self, root: &Path, path: &Path) -> Result<FileRecord, PrepareError> {
        end_lines(&mut self.file, self.any, path)?;
        Ok(self.file.commit_record(root)?)
    }
}

/// Writes one empty frame where there is none: a file without a byte is refused by readers.
fn end_lines(file: &mut StagedFile, any: bool, path: &Path) -> Result<(), PrepareError> {
    if any {
        return Ok(());
    }
    let empty = compressed(&[], path)?;
    Ok(file.write(&empty)?)
}

/// Returns lines as a compressed frame; nothing for no lines.
pub(crate) fn frame_of(lines: &[u8], path: &Path) -> Result<Vec<u8>, PrepareError> {
    if lines.is_empty() { Ok(Vec::new()) } else { compressed(lines, path) }
}

fn compressed(lines: &[u8], path: &Path) -> Result<Vec<u8>, PrepareError> {
    zstd::bulk::compress(lines, LEVEL)
        .map_err(|source| SourceError::Io { path: path.to_owned(), source }.into())
}

fn table_error(path: &Path, wrong: &parquet::errors::ParquetError) -> PrepareError {
    if let parquet::errors::ParquetError::External(inner) = wrong
        && let Some(source) = inner.downcast_ref::<std::io::Error>()
    {
        let source = std::io::Error::new(source.kind(), source.to_string());
        return ArtifactError::Io { path: path.to_owned(), source }.into();
    }
    let reason = wrong.to_string();
    PrepareError::Table { path: path.to_owned(), place: "its rows".into(), reason }
}

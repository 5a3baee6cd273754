//! Reads JSON lines, plain or compressed, one object a line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::SourceError;
use super::{BATCH_BYTES, BATCH_ROWS, Cell, Fields, Rows};

/// How a file of lines is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
}

/// A file of JSON lines with its text field.
#[derive(Debug)]
pub struct LinesSource {
    path: PathBuf,
    compression: Compression,
    field: String,
}

impl LinesSource {
    /// Opens a file; `field` is the name of the text field, with dots where it is nested.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn open(path: &Path, compression: Compression, field: &str) -> Result<Self, SourceError> {
        let source = Self { path: path.to_owned(), compression, field: field.to_owned() };
        source.reader(0, &Arc::default()).map(|_| source)
    }

    /// Returns whether the file is compressed, so that it is read from its beginning alone.
    pub fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// Opens the file at a place; `read` counts its bytes as they are taken from the disk.
    fn reader(&self, start: u64, read: &Arc<AtomicU64>) -> Result<Box<dyn BufRead>, SourceError> {
        let io = |source| SourceError::Io { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        if start > 0 {
            file.seek(SeekFrom::Start(start)).map_err(io)?;
        }
        let file = Counted { file, read: read.clone() };
        let stream: Box<dyn Read> = match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file).map_err(io)?),
        };
        Ok(Box::new(BufReader::with_capacity(1 << 20, stream)))
    }

    /// Reads the file, a batch of lines at a time; blank lines are no rows.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its compression is cut or damaged.
    pub fn read(&self, each: &mut dyn FnMut(Rows) -> bool) -> Result<(), SourceError> {
        self.read_from(0, each)
    }

    /// Reads the file from the first line that begins at byte `start` or later; lines and rows are
    /// counted from there. A compressed file is read from its beginning, whatever `start` is.
    ///
    /// # Errors
    ///
    /// As [`LinesSource::read`].
    pub fn read_from(
        &self,
        start: u64,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        let start = if self.is_compressed() { 0 } else { start };
        let taken = Arc::new(AtomicU64::new(0));
        // One byte earlier, so that a line which begins at `start` is not taken for a rest.
        let mut reader = self.reader(start.saturating_sub(1), &taken)?;
        let mut line_number = 0_u64;
        let damaged = |line_number: u64, wrong: std::io::Error| SourceError::Damaged {
            path: self.path.clone(),
            place: format!("line {}", line_number + 1),
            reason: wrong.to_string(),
        };
        if start > 0 {
            let mut rest = Vec::new();
            reader.read_until(b'\n', &mut rest).map_err(|wrong| damaged(0, wrong))?;
        }
        let mut cells = Vec::with_capacity(BATCH_ROWS);
        let (mut first, mut held, mut told) = (0, 0, 0);
        loop {
            let mut line = Vec::new();
            let read =
                reader.read_until(b'\n', &mut line).map_err(|wrong| damaged(line_number, wrong))?;
            line_number += u64::from(read > 0);
            held += read;
            if !line.trim_ascii().is_empty() {
                cells.push(Cell::Line(line_number, line));
            }
            let full = cells.len() == BATCH_ROWS || held >= BATCH_BYTES || read == 0;
            if full && !cells.is_empty() {
                let batch = std::mem::replace(&mut cells, Vec::with_capacity(BATCH_ROWS));
                let rows = batch.len() as u64;
                let taken = taken.load(Ordering::Relaxed);
                if !each(Rows { first, cells: batch, input_bytes: taken - told }) {
                    return Ok(());
                }
                first += rows;
                told = taken;
                held = 0;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Returns the text of one line.
    ///
    /// # Errors
    ///
    /// The line is no JSON object, or its text field is missing or no string.
    pub fn field<'a>(&self, line: &'a str) -> Result<Cow<'a, str>, String> {
        let mut rest: &'a str = line;
        for (depth, name) in self.field.split('.').enumerate() {
            let mut fields: Fields<'a> = serde_json::from_str(rest).map_err(|wrong| {
                if depth == 0 {
                    format!("the line is not a JSON object: {}", without_line(&wrong))
                } else {
                    format!("`{name}` lies in no object: {}", without_line(&wrong))
                }
            })?;
            let Some(value) = fields.remove(name) else {
                let present: Vec<_> = fields.into_keys().collect();
                return Err(format!("no field `{name}`; the fields are: {}", present.join(", ")));
            };
            rest = value.get();
        }
        if rest == "null" {
            return Err("the text is null".into());
        }
        serde_json::from_str::<BorrowedText<'a>>(rest).map(|text| text.0).map_err(|wrong| {
            if rest.starts_with('"') {
                // An escape of half a surrogate pair, or one that there is not.
                let what = without_line(&wrong);
                return format!("field `{}` is a string that is no text: {what}", self.field);
            }
            format!("field `{}` is no string", self.field)
        })
    }
}

/// Returns what is wrong and at which column; the number of the line is told already.
fn without_line(wrong: &serde_json::Error) -> String {
    let text = wrong.to_string();
    match text.split_once(" at line ") {
        Some((what, _)) if wrong.column() > 0 => format!("{what} at column {}", wrong.column()),
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}

/// A file that counts what is read of it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

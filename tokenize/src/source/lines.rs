//! Reads JSON lines, plain or compressed, one object a line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::SourceError;
use super::{BATCH_ROWS, Cell, Fields, Rows};

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
        source.reader().map(|_| source)
    }

    fn reader(&self) -> Result<Box<dyn BufRead>, SourceError> {
        let io = |source| SourceError::Io { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(io)?;
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
        let mut reader = self.reader()?;
        let mut line_number = 0_u64;
        let mut cells = Vec::with_capacity(BATCH_ROWS);
        let mut first = 0;
        loop {
            let mut line = Vec::new();
            let read =
                reader.read_until(b'\n', &mut line).map_err(|wrong| SourceError::Damaged {
                    path: self.path.clone(),
                    place: format!("line {}", line_number + 1),
                    reason: wrong.to_string(),
                })?;
            line_number += u64::from(read > 0);
            if !line.trim_ascii().is_empty() {
                cells.push(Cell::Line(line_number, line));
            }
            if cells.len() == BATCH_ROWS || (read == 0 && !cells.is_empty()) {
                let batch = std::mem::replace(&mut cells, Vec::with_capacity(BATCH_ROWS));
                let rows = batch.len() as u64;
                if !each(Rows { first, cells: batch }) {
                    return Ok(());
                }
                first += rows;
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
                    format!("the line is not a JSON object: {wrong}")
                } else {
                    format!("`{name}` lies in no object: {wrong}")
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
        serde_json::from_str::<BorrowedText<'a>>(rest)
            .map(|text| text.0)
            .map_err(|_| format!("field `{}` is no string", self.field))
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

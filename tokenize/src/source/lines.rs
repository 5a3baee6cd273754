//! Reads JSON lines, plain or compressed, one object a line.

use std::io::{BufRead, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::SourceError;
use super::foreign::{self, BOM, other_encoding};
use super::input_file::InputFile;
use super::json_text::{range_of, text_of};
use super::row_text::{BadText, RowText, Undecodable};
use super::rows::{BATCH_BYTES, BATCH_ROWS, Cell, Rows, Stopped};
use super::streams::{self, Compression};

/// A file of JSON lines with its text field.
#[derive(Debug)]
pub struct LinesSource {
    file: InputFile,
    compression: Compression,
    field: String,
}

impl LinesSource {
    /// Opens a file; `field` is the name of the text field, with dots where it is nested.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is something else in the place of lines.
    pub fn open(path: &Path, compression: Compression, field: &str) -> Result<Self, SourceError> {
        let file = InputFile::find(path)?;
        foreign::check(&file)?;
        let source = Self { file, compression, field: field.to_owned() };
        source.reader(0, &Arc::default()).map(|_| source)
    }

    /// Returns whether the file is compressed, so that it is read from its beginning alone.
    pub fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    fn reader(&self, start: u64, read: &Arc<AtomicU64>) -> Result<Box<dyn BufRead>, SourceError> {
        streams::open(&self.file, self.compression, start, read)
    }

    /// Reads the file, a batch of lines at a time; blank lines are no rows.
    ///
    /// # Errors
    ///
    /// The file cannot be read, its compression is cut or damaged, it is no UTF-8 or one array by
    /// its beginning, or `stopped` said so within a line.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        self.read_from(0, stopped, each)
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
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        let start = if self.is_compressed() { 0 } else { start };
        let taken = Arc::new(AtomicU64::new(0));
        // One byte earlier, so that a line which begins at `start` is not taken for a rest.
        let mut reader = self.reader(start.saturating_sub(1), &taken)?;
        let mut line_number = 0_u64;
        if start > 0 {
            self.read_line(&mut reader, 0, stopped)?;
        }
        let mut cells = Vec::with_capacity(BATCH_ROWS);
        let (mut first, mut held, mut reported) = (0, 0, 0);
        loop {
            let mut line = self.read_line(&mut reader, line_number, stopped)?;
            let read = line.len();
            line_number += u64::from(read > 0);
            held += read;
            if line_number == 1 && start == 0 {
                without_mark(self.file.path(), &mut line)?;
            }
            if !line.trim_ascii().is_empty() {
                if first == 0 && cells.is_empty() && start == 0 && begins_array(&line) {
                    return Err(SourceError::Array { path: self.file.path().to_owned() });
                }
                cells.push(Cell::Line(line_number, line));
            }
            let full = cells.len() == BATCH_ROWS || held >= BATCH_BYTES || read == 0;
            if full && !cells.is_empty() {
                let batch = std::mem::replace(&mut cells, Vec::with_capacity(BATCH_ROWS));
                let rows = batch.len() as u64;
                let taken = taken.load(Ordering::Relaxed);
                if !each(Rows { first, cells: batch, input_bytes: taken - reported }) {
                    return Ok(());
                }
                first += rows;
                reported = taken;
                held = 0;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Reads a line with its end, or what is left; `before` lines were read.
    fn read_line(
        &self,
        reader: &mut dyn BufRead,
        before: u64,
        stopped: Stopped<'_>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut line = Vec::new();
        loop {
            let held = match reader.fill_buf() {
                Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
                Err(wrong) => {
                    let place = format!("line {}", before + 1);
                    return Err(streams::failure(self.file.path(), place, &wrong));
                }
                Ok(held) => held,
            };
            let end = memchr::memchr(b'\n', held);
            let len = end.map_or(held.len(), |end| end + 1);
            line.extend_from_slice(&held[..len]);
            reader.consume(len);
            if end.is_some() || len == 0 {
                return Ok(line);
            }
            // The line continues beyond what is held, maybe for gigabytes.
            if stopped() {
                return Err(SourceError::Stopped);
            }
        }
    }

    /// Returns the text of one line.
    ///
    /// # Errors
    ///
    /// The line is no JSON object, or its text field is missing or no string.
    pub fn text<'a>(
        &self,
        line: &'a [u8],
        undecodable: Undecodable,
    ) -> Result<RowText<'a>, BadText> {
        text_of(line, &self.field, undecodable)
    }

    /// Returns a line with another text in its text field, and everything else as it was.
    ///
    /// # Errors
    ///
    /// The line has no such field, or is no UTF-8.
    pub fn with_text(&self, line: &[u8], text: &str) -> Result<Vec<u8>, BadText> {
        let read = std::str::from_utf8(line).map_err(|wrong| BadText::from(wrong.to_string()))?;
        let range = range_of(read, &self.field)?;
        let text = serde_json::to_vec(text).map_err(|wrong| BadText::from(wrong.to_string()))?;
        Ok([&line[..range.start], &text, &line[range.end..]].concat())
    }
}

/// Takes the mark of UTF-8 from the first line of a file, and refuses those of other encodings.
fn without_mark(path: &Path, line: &mut Vec<u8>) -> Result<(), SourceError> {
    if let Some(found) = other_encoding(line) {
        return Err(SourceError::Encoding { path: path.to_owned(), found });
    }
    if line.starts_with(BOM) {
        line.drain(..BOM.len());
    }
    Ok(())
}

/// Returns whether the first line of a file begins an array of objects: all of them are then one
/// value, which no line holds by itself.
fn begins_array(line: &[u8]) -> bool {
    let inside = line.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Writes a file and returns its texts, each with its line.
    fn read(content: &[u8]) -> Result<Vec<(u64, String)>, SourceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let source = LinesSource::open(file.path(), Compression::None, "text")?;
        let mut read = Vec::new();
        source.read(&|| false, &mut |rows| {
            for cell in rows.cells {
                let Cell::Line(number, line) = cell else { unreachable!() };
                let text = source.text(&line, Undecodable::Refuse).unwrap();
                read.push((number, text.text.into_owned()));
            }
            true
        })?;
        Ok(read)
    }

    #[test]
    fn a_mark_blank_lines_and_carriage_returns_are_read_over() {
        let marked = b"\xef\xbb\xbf{\"text\": \"a\"}\r\n\r\n   \r\n{\"text\": \"b\\r\\n\"}\r\n{\"text\": \"c\"}";
        let alone = b"\xef\xbb\xbf\r\n{\"text\": \"\xef\xbb\xbfa\"}\n";

        let texts = read(marked).unwrap();
        assert_eq!(texts, [(1, "a".into()), (4, "b\r\n".into()), (5, "c".into())]);
        assert_eq!(read(alone).unwrap(), [(2, "\u{feff}a".into())]);
        assert_eq!(read(b"\xef\xbb\xbf").unwrap(), []);
    }

    #[test]
    fn what_is_no_file_of_lines_is_named() {
        let utf16: Vec<u8> = "\u{feff}{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();

        let told = read(&utf16).unwrap_err().to_string();
        assert!(told.contains("UTF-16"), "{told}");
        for array in [&b"[\n{\"text\": \"a\"}\n]"[..], b"\n [ {\"text\": \"a\"}, {}]\n"] {
            assert!(matches!(read(array), Err(SourceError::Array { .. })), "{array:?}");
        }
        let page = read(b"<!DOCTYPE html>\n<p>404</p>\n");
        assert!(matches!(page, Err(SourceError::Page { .. })));
    }

    #[test]
    fn a_stop_is_noticed_within_a_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; 8 << 20]).unwrap();
        let source = LinesSource::open(file.path(), Compression::None, "text").unwrap();
        let asked = std::cell::Cell::new(0);

        let ended = source.read(
            &|| {
                asked.set(asked.get() + 1);
                asked.get() > 2
            },
            &mut |_| panic!("no whole line is given"),
        );

        assert!(matches!(ended, Err(SourceError::Stopped)));
        assert_eq!(asked.get(), 3);
    }
}

//! Reads JSON lines, plain or compressed, one object a line; and files that hold one array of objects.

use std::io::{BufRead, Cursor, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::error::SourceError;
use super::foreign::{self, BOM, other_encoding};
use super::input_file::InputFile;
use super::json_array::ArrayReader;
use super::json_text::{range_of, text_of};
use super::row_text::{BadText, RowText, Undecodable};
use super::rows::{Batches, Cell, Rows, Stopped, TextPlace};
use super::streams::{self, Compression};

/// How much of a file says whether it is one array.
const LOOKED_AT: u64 = 4096;

/// A file of objects of JSON with its text field.
#[derive(Debug)]
pub struct LinesSource {
    file: InputFile,
    compression: Compression,
    field: String,
    /// Whether the file is one array, which no line of it is a part of by itself.
    is_array: bool,
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
        // A compressed file is read from its beginning in any case.
        let is_array = compression == Compression::None && {
            let beginning = file.beginning(LOOKED_AT)?;
            begins_array(beginning.strip_prefix(BOM).unwrap_or(&beginning))
        };
        let source = Self { file, compression, field: field.to_owned(), is_array };
        source.reader(0, &Arc::default()).map(|_| source)
    }

    /// Returns whether the file is read from its beginning alone: it is compressed, or one array.
    pub fn is_sequential(&self) -> bool {
        self.compression != Compression::None || self.is_array
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &InputFile {
        &self.file
    }

    /// Returns how the file is compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns the name of the text field.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    fn reader(&self, start: u64, read: &Arc<AtomicU64>) -> Result<Box<dyn BufRead>, SourceError> {
        streams::open(&self.file, self.compression, start, read)
    }

    /// Reads the file, a batch of lines at a time; blank lines are no rows.
    ///
    /// # Errors
    ///
    /// The file cannot be read, its compression is cut or damaged, it is no UTF-8 by its beginning,
    /// it is an array that is cut or damaged, or `stopped` said so within a line.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        self.read_from(0, stopped, each)
    }

    /// Reads the file from the first line that begins at byte `start` or later; lines and rows are
    /// counted from there. A file that is read from its beginning alone is, whatever `start` is.
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
        let start = if self.is_sequential() { 0 } else { start };
        let taken = Arc::new(AtomicU64::new(0));
        // One byte earlier, so that a line which begins at `start` is not taken for a rest.
        let mut reader = self.reader(start.saturating_sub(1), &taken)?;
        let mut batches = Batches::new(&taken, each);
        let path = self.file.path();
        let reader = reader.as_mut();
        let continues = if start > 0 {
            let before = TextPlace::line(0);
            read_line(path, reader, &before, stopped)?;
            read_lines(path, reader, before, stopped, &mut batches)?
        } else {
            read_objects(path, reader, None, stopped, &mut batches)?
        };
        if continues {
            batches.hand_on();
        }
        Ok(())
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
}

/// Returns a line with another text in its text field, and everything else as it was.
pub(super) fn with_text(line: &[u8], field: &str, text: &str) -> Result<Vec<u8>, BadText> {
    let read = std::str::from_utf8(line).map_err(|wrong| BadText::from(wrong.to_string()))?;
    let range = range_of(read, field)?;
    let text = serde_json::to_vec(text).map_err(|wrong| BadText::from(wrong.to_string()))?;
    Ok([&line[..range.start], &text, &line[range.end..]].concat())
}

/// Reads what a file holds from its beginning: lines, or one array. Returns whether to continue.
///
/// # Errors
///
/// As [`LinesSource::read`].
pub(super) fn read_objects(
    path: &Path,
    reader: &mut dyn BufRead,
    member: Option<&Arc<str>>,
    stopped: Stopped<'_>,
    batches: &mut Batches<'_>,
) -> Result<bool, SourceError> {
    let mut place = TextPlace { member: member.cloned(), row: None, line: 1 };
    let mut line = read_line(path, reader, &place, stopped)?;
    without_mark(path, &mut line)?;
    while !line.is_empty() && line.trim_ascii().is_empty() {
        place.line += 1;
        line = read_line(path, reader, &place, stopped)?;
    }
    if begins_array(&line) {
        let rest = Cursor::new(line).chain(reader);
        return ArrayReader::new(path, rest, place).read(stopped, batches);
    }
    if begins_one_object(&line) {
        return Err(SourceError::OneObject { path: path.to_owned() });
    }
    if line.is_empty() {
        return Ok(true);
    }
    let bytes = line.len();
    if !batches.push(Cell::Json(place.clone(), line), bytes) {
        return Ok(false);
    }
    read_lines(path, reader, place, stopped, batches)
}

/// Reads the lines behind one at a place to the end; returns whether to continue.
fn read_lines(
    path: &Path,
    reader: &mut dyn BufRead,
    mut place: TextPlace,
    stopped: Stopped<'_>,
    batches: &mut Batches<'_>,
) -> Result<bool, SourceError> {
    loop {
        place.line += 1;
        let line = read_line(path, reader, &place, stopped)?;
        let read = line.len();
        if read == 0 {
            return Ok(true);
        }
        let blank = line.trim_ascii().is_empty();
        if !blank && !batches.push(Cell::Json(place.clone(), line), read) {
            return Ok(false);
        }
    }
}

/// Reads the line at a place with its end, or what is left.
fn read_line(
    path: &Path,
    reader: &mut dyn BufRead,
    place: &TextPlace,
    stopped: Stopped<'_>,
) -> Result<Vec<u8>, SourceError> {
    let mut line = Vec::new();
    loop {
        let held = match reader.fill_buf() {
            Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
            Err(wrong) => return Err(streams::failure(path, place.to_string(), &wrong)),
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

/// Takes the mark of UTF-8 from the first bytes of a file, and refuses those of other encodings.
pub(super) fn without_mark(path: &Path, line: &mut Vec<u8>) -> Result<(), SourceError> {
    if let Some(found) = other_encoding(line) {
        return Err(SourceError::Encoding { path: path.to_owned(), found });
    }
    if line.starts_with(BOM) {
        line.drain(..BOM.len());
    }
    Ok(())
}

/// Returns whether what a file begins with begins an array of objects: all of them are then one
/// value, which no line holds by itself.
fn begins_array(beginning: &[u8]) -> bool {
    let inside = beginning.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), None | Some(b'{' | b']')))
}

/// Returns whether the first line of a file opens an object and holds nothing of it.
fn begins_one_object(line: &[u8]) -> bool {
    line.trim_ascii() == b"{"
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Writes a file and returns its texts, each with its place.
    fn read(content: &[u8]) -> Result<Vec<(String, String)>, SourceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let source = LinesSource::open(file.path(), Compression::None, "text")?;
        let mut read = Vec::new();
        source.read(&|| false, &mut |rows| {
            for cell in rows.cells {
                let Cell::Json(place, line) = cell else { unreachable!() };
                let text = source.text(&line, Undecodable::Refuse).unwrap();
                read.push((place.to_string(), text.text.into_owned()));
            }
            true
        })?;
        Ok(read)
    }

    fn rows<const N: usize>(rows: [(&str, &str); N]) -> Vec<(String, String)> {
        rows.map(|(place, text)| (place.to_owned(), text.to_owned())).to_vec()
    }

    #[test]
    fn a_mark_blank_lines_and_carriage_returns_are_read_over() {
        let marked = b"\xef\xbb\xbf{\"text\": \"a\"}\r\n\r\n   \r\n{\"text\": \"b\\r\\n\"}\r\n{\"text\": \"c\"}";
        let alone = b"\xef\xbb\xbf\r\n{\"text\": \"\xef\xbb\xbfa\"}\n";

        let texts = read(marked).unwrap();
        assert_eq!(texts, rows([("line 1", "a"), ("line 4", "b\r\n"), ("line 5", "c")]));
        assert_eq!(read(alone).unwrap(), rows([("line 2", "\u{feff}a")]));
        assert_eq!(read(b"\xef\xbb\xbf").unwrap(), []);
    }

    #[test]
    fn an_array_is_read_by_its_objects() {
        let read_rows = rows([("row 0, line 2", "a"), ("row 1, line 3", "b")]);
        for array in [
            &b"[\n{\"text\": \"a\"},\n{\"text\": \"b\"}\n]"[..],
            b"\xef\xbb\xbf[ \n {\"text\": \"a\"}\n, {\n\"text\": \"b\"}]\n\n",
        ] {
            assert_eq!(read(array).unwrap(), read_rows, "{}", array.escape_ascii());
        }
        assert_eq!(read(b"\n[]").unwrap(), []);
    }

    #[test]
    fn what_is_no_file_of_lines_is_named() {
        let utf16: Vec<u8> = "\u{feff}{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();

        let told = read(&utf16).unwrap_err().to_string();
        assert!(told.contains("UTF-16"), "{told}");
        let object = read(b"\n{\n  \"data\": []\n}\n");
        assert!(matches!(object, Err(SourceError::OneObject { .. })));
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

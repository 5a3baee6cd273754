//! Reads separated values (CSV and TSV): a header row, then rows with as many fields, as RFC 4180 has them.
//!
//! A field in quotes may hold separators, quotes (written twice) and ends of lines. Values have no
//! types: each is a text. Rows are parted as Python's `csv` parts them; blank lines are no rows.

use std::io::{BufRead, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use super::error::SourceError;
use super::foreign::{self, BOM, other_encoding};
use super::input_file::InputFile;
use super::row_text::{BadText, RowText, Undecodable, of_bytes};
use super::rows::{Batches, Cell, Record, Rows, Stopped, TextPlace};
use super::streams::{self, Compression};

/// What parts the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// A comma, in CSV.
    Comma,
    /// A tab, in TSV.
    Tab,
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Tab => b'\t',
        }
    }
}

/// The most bytes of a row: where a quote is not closed, all that follows would be one field.
const MOST_BYTES: usize = 1 << 30;

/// A file of separated values.
#[derive(Debug)]
pub struct CsvSource {
    file: InputFile,
    compression: Compression,
    separator: Separator,
    header: Vec<String>,
    /// The place of the text column in the header, where it is read.
    text: Option<usize>,
}

impl CsvSource {
    /// Opens a file and reads its header; `column` is the name of the text column, where one is read.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is something else, or its header lacks the column, has a name twice or
    /// is not UTF-8.
    pub fn open(
        path: &Path,
        compression: Compression,
        separator: Separator,
        column: Option<&str>,
    ) -> Result<Self, SourceError> {
        let file = InputFile::find(path)?;
        foreign::check(&file)?;
        let header = Vec::new();
        let mut source = Self { file, compression, separator, header, text: None };
        let first = source.reader(&Arc::default())?.next(&|| false)?;
        source.header = source.header_of(first.as_ref())?;
        if let Some(column) = column {
            source.text = Some(source.place_of(column)?);
        }
        Ok(source)
    }

    fn header_of(&self, first: Option<&(u64, Record)>) -> Result<Vec<String>, SourceError> {
        let Some((_, first)) = first else { return Ok(Vec::new()) };
        let mut header: Vec<String> = Vec::with_capacity(first.len());
        for field in (0..first.len()).filter_map(|number| first.field(number)) {
            let name = std::str::from_utf8(field).map_err(|_| SourceError::Damaged {
                path: self.file.path().to_owned(),
                place: "its header".into(),
                reason: format!("column {} has a name that is not UTF-8", header.len()),
            })?;
            header.push(name.to_owned());
        }
        // A row becomes an object, which has each name once.
        let times = |name: &String| header.iter().filter(|other| *other == name).count();
        if let Some(name) = header.iter().find(|name| times(name) > 1) {
            let (path, column) = (self.file.path().to_owned(), name.clone());
            return Err(SourceError::DoubledColumn { path, column, count: times(name) });
        }
        Ok(header)
    }

    /// Returns the place of a column in the header.
    ///
    /// # Errors
    ///
    /// The header lacks it.
    pub(super) fn place_of(&self, column: &str) -> Result<usize, SourceError> {
        self.header.iter().position(|name| name == column).ok_or_else(|| SourceError::NoColumn {
            path: self.file.path().to_owned(),
            column: column.to_owned(),
            present: self.header.clone(),
        })
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &InputFile {
        &self.file
    }

    /// Returns how the file is compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    fn reader(&self, taken: &Arc<AtomicU64>) -> Result<RecordReader<'_>, SourceError> {
        let reader = streams::open(&self.file, self.compression, 0, taken)?;
        RecordReader::new(self.file.path(), reader, self.separator)
    }

    /// Reads the rows behind the header.
    ///
    /// # Errors
    ///
    /// The file cannot be read, ends within quotes, or has a row of more than a gigabyte; or `stopped`
    /// said so.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        let taken = Arc::default();
        let mut reader = self.reader(&taken)?;
        let mut batches = Batches::new(&taken, each);
        reader.next(stopped)?; // the header
        while let Some((line, record)) = reader.next(stopped)? {
            let place = TextPlace { member: None, row: Some(batches.next_row()), line };
            let bytes = record.bytes.len();
            if !batches.push(Cell::Record(place, record), bytes) {
                return Ok(());
            }
        }
        batches.hand_on();
        Ok(())
    }

    /// Returns the text of a row.
    ///
    /// # Errors
    ///
    /// The row has another number of fields than the header, or one that is not UTF-8.
    pub fn text<'a>(
        &self,
        record: &'a Record,
        undecodable: Undecodable,
    ) -> Result<RowText<'a>, BadText> {
        self.check_len(record).map_err(BadText::from)?;
        let mut text = RowText { text: "".into(), replaced: false };
        for (number, name) in self.header.iter().enumerate() {
            let field = record.field(number).unwrap_or_default();
            let read = of_bytes(field, &format!("`{name}`"), undecodable)?;
            if Some(number) == self.text {
                text = read;
            }
        }
        Ok(text)
    }

    fn check_len(&self, record: &Record) -> Result<(), String> {
        let (found, expected) = (record.len(), self.header.len());
        if found == expected {
            return Ok(());
        }
        Err(format!(
            "found {found} fields, expected {expected} as in the header; a field with a separator, a quote or an \
             end of line in it stands in quotes"
        ))
    }

    /// Returns a row as an object.
    ///
    /// # Errors
    ///
    /// As [`CsvSource::text`].
    pub(super) fn object(&self, record: &Record) -> Result<Value, String> {
        self.check_len(record)?;
        let mut object = Map::with_capacity(self.header.len());
        for (number, name) in self.header.iter().enumerate() {
            let field = record.field(number).unwrap_or_default();
            let text = std::str::from_utf8(field).map_err(|_| format!("`{name}` is not UTF-8"))?;
            object.insert(name.clone(), Value::from(text));
        }
        Ok(Value::Object(object))
    }

    /// Returns a row as a line of JSON, with another text where one is given, and U+FFFD where bytes are not UTF-8:
    /// rows that have such bytes are refused before, unless they are to be replaced.
    ///
    /// # Errors
    ///
    /// The row has another number of fields than the header.
    pub(super) fn line(&self, record: &Record, text: Option<&str>) -> Result<Vec<u8>, String> {
        self.check_len(record)?;
        let mut object = Map::with_capacity(self.header.len());
        for (number, name) in self.header.iter().enumerate() {
            let field = record.field(number).unwrap_or_default();
            let value = match text.filter(|_| Some(number) == self.text) {
                Some(text) => text.into(),
                None => String::from_utf8_lossy(field),
            };
            object.insert(name.clone(), Value::from(value));
        }
        Ok(Value::Object(object).to_string().into_bytes())
    }
}

/// The records of a stream.
struct RecordReader<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead>,
    core: csv_core::Reader,
    /// The line that the reading is in, from 1.
    line: u64,
}

impl<'a> RecordReader<'a> {
    fn new(
        path: &'a Path,
        mut reader: Box<dyn BufRead>,
        separator: Separator,
    ) -> Result<Self, SourceError> {
        let beginning =
            reader.fill_buf().map_err(|wrong| streams::failure(path, "line 1".into(), &wrong))?;
        if let Some(found) = other_encoding(beginning) {
            return Err(SourceError::Encoding { path: path.to_owned(), found });
        }
        if beginning.starts_with(BOM) {
            reader.consume(BOM.len());
        }
        let core = csv_core::ReaderBuilder::new().delimiter(separator.byte()).build();
        Ok(Self { path, reader, core, line: 1 })
    }

    /// Returns what is held of the stream, and nothing at its end.
    fn held(&mut self) -> Result<&[u8], SourceError> {
        loop {
            match self.reader.fill_buf() {
                Err(wrong) if wrong.kind() == ErrorKind::Interrupted => {}
                Err(wrong) => {
                    let place = format!("line {}", self.line);
                    return Err(streams::failure(self.path, place, &wrong));
                }
                Ok(_) => break,
            }
        }
        self.reader.fill_buf().map_err(SourceError::reading(self.path))
    }

    fn consume(&mut self, len: usize, lines: usize) {
        self.reader.consume(len);
        self.line += lines as u64;
    }

    /// Goes over the ends of lines between two records; returns whether one follows.
    fn find_next(&mut self) -> Result<bool, SourceError> {
        loop {
            let held = self.held()?;
            let blank = held.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let (lines, len) = (lines_of(&held[..blank]), held.len());
            self.consume(blank, lines);
            if blank < len || len == 0 {
                return Ok(len > 0);
            }
        }
    }

    /// Returns the next record and the line that it begins in.
    fn next(&mut self, stopped: Stopped<'_>) -> Result<Option<(u64, Record)>, SourceError> {
        if !self.find_next()? {
            return Ok(None);
        }
        let begins = self.line;
        let mut record = Record { bytes: vec![0; 256], ends: vec![0; 16] };
        let (mut bytes, mut ends) = (0, 0);
        loop {
            let held = match self.reader.fill_buf() {
                Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
                Err(wrong) => {
                    let place = format!("line {begins}");
                    return Err(streams::failure(self.path, place, &wrong));
                }
                Ok(held) => held,
            };
            // An end of line ends the last row, unless it stands within quotes.
            let at_end = held.is_empty();
            let given = if at_end { b"\n" } else { held };
            let (result, taken, written, ended) =
                self.core.read_record(given, &mut record.bytes[bytes..], &mut record.ends[ends..]);
            (bytes, ends) = (bytes + written, ends + ended);
            if !at_end {
                let lines = lines_of(&held[..taken]);
                self.consume(taken, lines);
            }
            match result {
                ReadRecordResult::Record => {
                    record.bytes.truncate(bytes);
                    record.ends.truncate(ends);
                    return Ok(Some((begins, record)));
                }
                ReadRecordResult::OutputFull => {
                    let more = record.bytes.len() * 2;
                    record.bytes.resize(more, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    let more = record.ends.len() * 2;
                    record.ends.resize(more, 0);
                }
                ReadRecordResult::InputEmpty if at_end => {
                    return Err(self.damaged(
                        begins,
                        "the file ends within quotes that this row opens and does not close",
                    ));
                }
                ReadRecordResult::InputEmpty if stopped() => return Err(SourceError::Stopped),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
            if bytes > MOST_BYTES {
                return Err(self.damaged(
                    begins,
                    "more than a gigabyte in one row: are the quotes closed that it opens?",
                ));
            }
        }
    }

    fn damaged(&self, line: u64, reason: &str) -> SourceError {
        let (path, place) = (self.path.to_owned(), format!("line {line}"));
        SourceError::Damaged { path, place, reason: reason.to_owned() }
    }
}

fn lines_of(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use serde_json::json;

    use super::*;

    fn written(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn open(file: &tempfile::NamedTempFile, column: &str) -> Result<CsvSource, SourceError> {
        CsvSource::open(file.path(), Compression::None, Separator::Comma, Some(column))
    }

    /// Returns the place of each row, with its text or why it has none.
    fn read(content: &[u8]) -> Result<Vec<(String, String)>, SourceError> {
        let file = written(content);
        let source = open(&file, "text")?;
        let mut found = Vec::new();
        source.read(&|| false, &mut |rows| {
            for cell in rows.cells {
                let Cell::Record(place, record) = cell else { unreachable!() };
                let text = source.text(&record, Undecodable::Refuse);
                let text = text.map_or_else(|bad| format!("BAD {bad}"), |read| read.text.into());
                found.push((place.to_string(), text));
            }
            true
        })?;
        Ok(found)
    }

    #[test]
    fn quotes_marks_blank_lines_and_the_last_line_are_read_as_python_reads_them() {
        let file = b"\xef\xbb\xbfid,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,plain \"x\"\n\n\"3\",\"\"\r\n4,last";

        let rows = read(file).unwrap();

        let expected = [
            ("row 0, line 2", "a, \"b\"\nc"),
            ("row 1, line 5", "plain \"x\""),
            ("row 2, line 7", ""),
            ("row 3, line 8", "last"),
        ];
        let expected = expected.map(|(place, text)| (place.to_owned(), text.to_owned()));
        assert_eq!(rows, expected);
        assert_eq!(read(b"text\n").unwrap(), []);
        assert_eq!(read(b"text").unwrap(), []);
    }

    #[test]
    fn a_row_with_other_fields_is_bad_and_the_next_is_read() {
        let rows = read(b"id,text\n1,a,b\n2\n3,c\n4,\xff\n").unwrap();

        let told: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
        assert!(told[0].starts_with("BAD found 3 fields, expected 2 as in the header"), "{told:?}");
        assert!(told[1].starts_with("BAD found 1 fields, expected 2"), "{told:?}");
        assert_eq!(told[2], "c");
        assert_eq!(told[3], "BAD `text` is not UTF-8: byte 0 of it is wrong");
    }

    #[test]
    fn headers_and_quotes_that_are_wrong_are_named() {
        for (content, says) in [
            (&b"a,b\n1,2\n"[..], "no column `text`; the columns are: a, b"),
            (b"text,x,text\n", "2 columns are called `text`"),
            (b"\xff,text\n", "damaged at its header: column 0 has a name that is not UTF-8"),
            (b"\n", "no column `text`"),
            (b"\xff\xfet\0", "text in UTF-16"),
        ] {
            let told = open(&written(content), "text").unwrap_err().to_string();
            assert!(told.contains(says), "{}: {told}", content.escape_ascii());
        }
        let told = read(b"id,text\n1,\"a\"\n2,\"b\n3,c\n").unwrap_err().to_string();
        assert!(told.contains("damaged at line 3: the file ends within quotes"), "{told}");
    }

    #[test]
    fn records_do_not_depend_on_how_much_is_held() {
        let content = b"a,b\r\n\"x\r\ny\",\"\"\"\"\r\n\n\r\nlong long long,z\n";
        let records = |at_once| {
            let reader = Box::new(BufReader::with_capacity(at_once, &content[..]));
            let mut reader = RecordReader::new(Path::new("x"), reader, Separator::Comma).unwrap();
            let mut found = Vec::new();
            while let Some(record) = reader.next(&|| false).unwrap() {
                found.push(record);
            }
            found
        };

        let whole = records(1000);

        assert_eq!(whole.len(), 3);
        assert_eq!((whole[2].0, whole[2].1.field(1)), (6, Some(&b"z"[..])));
        for at_once in 1..20 {
            assert_eq!(records(at_once), whole, "{at_once}");
        }
    }

    #[test]
    fn a_row_is_an_object_of_texts() {
        let file = written(b"id\ttext\n7\ta\n");
        let tab = Separator::Tab;
        let source = CsvSource::open(file.path(), Compression::None, tab, Some("text")).unwrap();
        let mut lines = Vec::new();

        source
            .read(&|| false, &mut |rows| {
                for cell in &rows.cells {
                    let Cell::Record(_, record) = cell else { unreachable!() };
                    assert_eq!(source.object(record).unwrap(), json!({"id": "7", "text": "a"}));
                    lines.push(source.line(record, None).unwrap());
                    lines.push(source.line(record, Some("b")).unwrap());
                }
                true
            })
            .unwrap();

        assert_eq!(lines[0], br#"{"id":"7","text":"a"}"#);
        assert_eq!(lines[1], br#"{"id":"7","text":"b"}"#);
    }
}

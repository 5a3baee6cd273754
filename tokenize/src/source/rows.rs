//! The rows that a source yields, and what each holds where its text should be.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::data_type::ByteArray;

/// How many rows are read at a time.
pub(crate) const BATCH_ROWS: usize = 256;

/// How much text is read at a time, unless one row alone has more.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// Says whether the user has asked to stop; readers look at it within long rows, too.
pub type Stopped<'a> = &'a dyn Fn() -> bool;

/// Rows of a source, in file order.
#[derive(Debug)]
pub struct Rows {
    /// The place of the first row in the source, counted from 0.
    pub first: u64,
    /// What the rows hold.
    pub cells: Vec<Cell>,
    /// How many bytes of the file on disk they stand for; an estimate where it is compressed.
    pub input_bytes: u64,
}

/// What a row holds where its text should be.
#[derive(Debug)]
pub enum Cell {
    /// Bytes of a table's column, not yet checked to be UTF-8.
    Bytes(ByteArray),
    /// An object of JSON, not yet parsed.
    Json(TextPlace, Vec<u8>),
    /// A record of a file of separated values.
    Record(TextPlace, Record),
    /// A text.
    Text(Vec<u8>),
    /// Nothing.
    Null,
}

impl Cell {
    /// Returns how many bytes the cell holds: those of a text, or of the row that has it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Json(_, json) => json.len(),
            Self::Record(_, record) => record.bytes.len(),
            Self::Text(text) => text.len(),
            Self::Null => 0,
        }
    }

    /// Returns where the row begins in its text file; none of a table or of a plain text.
    pub fn place(&self) -> Option<&TextPlace> {
        match self {
            Self::Json(place, _) | Self::Record(place, _) => Some(place),
            Self::Bytes(_) | Self::Text(_) | Self::Null => None,
        }
    }
}

/// Where a row begins in a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// The file in an archive that has the row.
    pub member: Option<Arc<str>>,
    /// The number of the row in its file, from 0, where lines do not number the rows.
    pub row: Option<u64>,
    /// The line in that file, from 1.
    pub line: u64,
}

impl TextPlace {
    /// A line that is a row.
    pub(crate) fn line(line: u64) -> Self {
        Self { member: None, row: None, line }
    }
}

impl fmt::Display for TextPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "`{member}`, ")?;
        }
        if let Some(row) = self.row {
            write!(f, "row {row}, ")?;
        }
        write!(f, "line {}", self.line)
    }
}

/// The fields of a row of separated values, without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The fields, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
}

impl Record {
    /// Returns how many fields there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns a field.
    pub(super) fn field(&self, number: usize) -> Option<&[u8]> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..*self.ends.get(number)?)
    }
}

/// Puts rows into batches as they are read from a stream.
pub(super) struct Batches<'a> {
    each: &'a mut dyn FnMut(Rows) -> bool,
    /// How many bytes of the file were taken.
    taken: Arc<AtomicU64>,
    cells: Vec<Cell>,
    first: u64,
    /// How many bytes the cells stand for.
    held: usize,
    /// How many bytes of the file were told of.
    reported: u64,
}

impl<'a> Batches<'a> {
    /// Begins with row 0; `taken` counts the bytes that are taken from the file.
    pub(super) fn new(taken: &Arc<AtomicU64>, each: &'a mut dyn FnMut(Rows) -> bool) -> Self {
        let cells = Vec::with_capacity(BATCH_ROWS);
        Self { each, taken: taken.clone(), cells, first: 0, held: 0, reported: 0 }
    }

    /// Returns the number of the next row.
    pub(super) fn next_row(&self) -> u64 {
        self.first + self.cells.len() as u64
    }

    /// Adds a row that `bytes` bytes of text were read for; returns whether to continue.
    pub(super) fn push(&mut self, cell: Cell, bytes: usize) -> bool {
        self.cells.push(cell);
        self.held += bytes;
        let full = self.cells.len() == BATCH_ROWS || self.held >= BATCH_BYTES;
        !full || self.hand_on()
    }

    /// Hands on the rows that are left; returns whether to continue.
    pub(super) fn hand_on(&mut self) -> bool {
        if self.cells.is_empty() {
            return true;
        }
        let cells = std::mem::replace(&mut self.cells, Vec::with_capacity(BATCH_ROWS));
        let taken = self.taken.load(Ordering::Relaxed);
        let (first, input_bytes) = (self.first, taken - self.reported);
        self.first += cells.len() as u64;
        (self.reported, self.held) = (taken, 0);
        (self.each)(Rows { first, cells, input_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_the_archive_to_the_line() {
        let plain = TextPlace::line(3);
        let row = TextPlace { row: Some(7), ..plain.clone() };
        let member = TextPlace { member: Some("a/b.jsonl".into()), ..plain.clone() };

        assert_eq!(plain.to_string(), "line 3");
        assert_eq!(row.to_string(), "row 7, line 3");
        assert_eq!(member.to_string(), "`a/b.jsonl`, line 3");
    }

    #[test]
    fn batches_are_cut_by_rows_and_by_bytes() {
        let taken = Arc::new(AtomicU64::new(0));
        let mut found = Vec::new();
        let mut each = |rows: Rows| {
            found.push((rows.first, rows.cells.len(), rows.input_bytes));
            true
        };
        let mut batches = Batches::new(&taken, &mut each);

        for _ in 0..=BATCH_ROWS {
            taken.fetch_add(1, Ordering::Relaxed);
            assert!(batches.push(Cell::Null, 1));
        }
        assert!(batches.push(Cell::Null, BATCH_BYTES));
        assert!(batches.hand_on());

        assert_eq!(found, [(0, BATCH_ROWS, BATCH_ROWS as u64), (BATCH_ROWS as u64, 2, 1)]);
    }
}

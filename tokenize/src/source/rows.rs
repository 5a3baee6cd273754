//! The rows that a source yields, and what each holds where its text should be.

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
    /// Bytes of a parquet page, not yet checked to be UTF-8.
    Bytes(ByteArray),
    /// A line of JSON, not yet parsed, and its number from 1.
    Line(u64, Vec<u8>),
    /// A text.
    Text(Vec<u8>),
    /// Nothing.
    Null,
}

impl Cell {
    /// Returns how many bytes the cell holds: those of a text, or of the line that has it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Line(_, line) => line.len(),
            Self::Text(text) => text.len(),
            Self::Null => 0,
        }
    }
}

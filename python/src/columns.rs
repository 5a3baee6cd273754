//! The documents of a sequence, column by column: which one, and which position in it.

use std::ops::Range;

/// The document of a column that is padding.
const PADDING: i64 = -1;

/// For each column of sequences the number of its document and the position in it.
///
/// Documents are numbered from 0 in each sequence. A document that begins before its sequence is
/// counted from the sequence's first column on.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// The documents, [`PADDING`] where there is none.
    pub(crate) documents: Vec<i64>,
    /// The positions; 0 in padding.
    pub(crate) positions: Vec<i64>,
}

impl Columns {
    /// Makes room for sequences of this many columns together.
    pub(crate) fn with_capacity(columns: usize) -> Self {
        Self { documents: Vec::with_capacity(columns), positions: Vec::with_capacity(columns) }
    }

    /// Appends a sequence of `seq_len` columns, of which documents cover these ranges, in order.
    pub(crate) fn push(&mut self, seq_len: usize, documents: impl Iterator<Item = Range<usize>>) {
        let begin = self.documents.len();
        let mut number = 0;
        for range in documents {
            let range = range.start.min(seq_len)..range.end.min(seq_len);
            if range.is_empty() {
                continue;
            }
            self.pad(begin + range.start);
            self.documents.resize(begin + range.end, number);
            self.positions.extend((0..).take(range.len()));
            number += 1;
        }
        self.pad(begin + seq_len);
    }

    fn pad(&mut self, end: usize) {
        self.documents.resize(end, PADDING);
        self.positions.resize(end, 0);
    }
}

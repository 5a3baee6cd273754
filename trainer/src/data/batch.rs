//! The sequences of one iteration, on the host.

use std::ops::Range;

use ratdata_schemas::IGNORE_INDEX;

use super::cursor::Cursor;
use super::error::DataError;
use super::split::{Scratch, SequenceMut, Split};
use crate::documents::Documents;

/// The sequences of one iteration, on the host.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Ids: [sequences, `seq_len`], row by row.
    pub inputs: Vec<i32>,
    /// Labels of the same shape, [`IGNORE_INDEX`] where the loss does not count.
    pub labels: Vec<i32>,
    /// The columns where documents begin, one list for each sequence.
    pub starts: Vec<Vec<usize>>,
    /// Which row each sequence is.
    pub drawn: Vec<Draw>,
    /// The cursor after this batch.
    pub after: Cursor,
    seq_len: usize,
}

/// A row of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draw {
    /// The number of the source.
    pub source: usize,
    /// The number of the row in it.
    pub row: u64,
}

impl Batch {
    /// Makes room for `size` sequences.
    pub fn sized(size: usize, seq_len: usize) -> Self {
        Self {
            inputs: vec![0; size * seq_len],
            labels: vec![0; size * seq_len],
            starts: vec![Vec::new(); size],
            drawn: vec![Draw::default(); size],
            after: Cursor::default(),
            seq_len,
        }
    }

    /// Returns how many sequences there are.
    pub fn len(&self) -> usize {
        self.drawn.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Returns how many inputs a sequence has, and as many labels.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Counts the labels that the loss is taken at.
    pub fn counted(&self, sequences: Range<usize>) -> u64 {
        let labels = &self.labels[self.cells(sequences)];
        labels.iter().filter(|&&label| label != IGNORE_INDEX).count() as u64
    }

    /// Says how some sequences are divided into documents.
    pub fn documents(&self, sequences: Range<usize>) -> Documents {
        let starts = &self.starts[sequences];
        if starts.iter().all(|starts| starts.len() < 2) {
            Documents::OnePerRow
        } else {
            Documents::Packed(starts.to_vec())
        }
    }

    /// Returns where the inputs and the labels of some sequences are.
    pub(crate) fn cells(&self, sequences: Range<usize>) -> Range<usize> {
        sequences.start * self.seq_len..sequences.end * self.seq_len
    }

    /// Reads a row as the sequence `at`.
    pub(super) fn fill(
        &mut self,
        at: usize,
        split: &Split,
        draw: Draw,
        scratch: &mut Scratch,
    ) -> Result<(), DataError> {
        let cells = self.cells(at..at + 1);
        self.drawn[at] = draw;
        let sequence = SequenceMut {
            inputs: &mut self.inputs[cells.clone()],
            labels: &mut self.labels[cells],
            starts: &mut self.starts[at],
        };
        split.read(draw.row, scratch, sequence)
    }
}

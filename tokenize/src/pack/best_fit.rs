//! Whole documents, the longest first, each into the fullest row that still has room for it.
//!
//! Documents are taken a buffer at a time, so memory is bounded; within a buffer this is best-fit
//! decreasing. Rows are found by their free space through a bitmap, so a document costs a few
//! instructions, not a search. [`best_fit_plainly`] is the same by its definition.

use std::convert::Infallible;

use ratdata_schemas::Span;
use ratdata_schemas::narrow;

use super::{Counts, Document, Long, PackConfig, RowSink};

/// How many documents are sorted together.
const BUFFER: usize = 1 << 20;

/// Packs documents, a buffer at a time.
#[derive(Debug)]
pub struct BestFit {
    config: PackConfig,
    waiting: Vec<Piece>,
    counts: Counts,
}

/// A document, or the end of one, that fits a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: u64,
    len: u32,
}

impl BestFit {
    /// Begins with an empty buffer.
    pub fn new(config: PackConfig) -> Self {
        Self { config, waiting: Vec::new(), counts: Counts::default() }
    }

    /// Takes one document.
    ///
    /// # Errors
    ///
    /// The sink refuses a row.
    pub fn push<S: RowSink>(&mut self, document: Document, sink: &mut S) -> Result<(), S::Error> {
        let row_len = u64::from(self.config.row_len());
        if document.len == 0 {
            self.counts.empty += 1;
            return Ok(());
        }
        if document.len > row_len && self.config.long == Long::Drop {
            self.counts.dropped += 1;
            return Ok(());
        }
        self.counts.documents += 1;
        self.counts.cut += u64::from(document.len > row_len);
        let mut start = document.start;
        let end = start + document.len;
        // Full rows of a long document; each shares its last token with the next.
        while end - start > row_len {
            self.emit(&[Span { start, len: self.config.row_len(), column: 0 }], sink)?;
            start += u64::from(self.config.seq_len);
        }
        let len = u32::try_from(end - start).unwrap_or(self.config.row_len());
        self.waiting.push(Piece { start, len });
        if self.waiting.len() == BUFFER { self.empty(sink) } else { Ok(()) }
    }

    /// Packs what is left and returns what was done.
    ///
    /// # Errors
    ///
    /// The sink refuses a row.
    pub fn finish<S: RowSink>(mut self, sink: &mut S) -> Result<Counts, S::Error> {
        self.empty(sink)?;
        Ok(self.counts)
    }

    fn emit<S: RowSink>(&mut self, spans: &[Span], sink: &mut S) -> Result<(), S::Error> {
        self.counts.rows += 1;
        self.counts.tokens += spans.iter().map(|span| u64::from(span.len)).sum::<u64>();
        sink.row(spans)
    }

    /// Packs the buffer into rows, in the order in which they were begun.
    fn empty<S: RowSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        let mut pieces = std::mem::take(&mut self.waiting);
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len));
        let mut shelf = Shelf::new(self.config.row_len());
        let mut rows: Vec<Vec<Span>> = Vec::new();
        for piece in &pieces {
            let row = shelf.take(piece.len).unwrap_or_else(|| {
                rows.push(Vec::new());
                rows.len() - 1
            });
            shelf.put(row, place(&self.config, &mut rows[row], *piece));
        }
        for row in &rows {
            self.emit(row, sink)?;
        }
        Ok(())
    }
}

/// Puts a piece behind the others of a row and returns the space that is left for the next.
fn place(config: &PackConfig, row: &mut Vec<Span>, piece: Piece) -> u32 {
    let column = row.last().map_or(0, |last| config.aligned(last.column + last.len));
    row.push(Span { start: piece.start, len: piece.len, column });
    config.row_len().saturating_sub(config.aligned(column + piece.len))
}

/// Open rows by the space that is left in them.
struct Shelf {
    rows: Vec<Vec<u32>>, // by free space; the last row of each is taken first
    some: Vec<u64>,      // a bit for each space that some row has
}

impl Shelf {
    fn new(row_len: u32) -> Self {
        let spaces = row_len as usize + 1;
        Self { rows: vec![Vec::new(); spaces], some: vec![0; spaces.div_ceil(64)] }
    }

    /// Takes the row with the least space that is at least `len`.
    fn take(&mut self, len: u32) -> Option<usize> {
        let mut word = len as usize / 64;
        let mut bits = *self.some.get(word)? & (u64::MAX << (len % 64));
        while bits == 0 {
            word += 1;
            bits = *self.some.get(word)?;
        }
        let space = word * 64 + bits.trailing_zeros() as usize;
        let row = self.rows[space].pop()?;
        if self.rows[space].is_empty() {
            self.some[word] &= !(1 << (space % 64));
        }
        Some(row as usize)
    }

    /// Puts a row back with the space that it has now; a full one is not looked at again.
    fn put(&mut self, row: usize, space: u32) {
        if space > 0 {
            let space = space as usize;
            self.rows[space].push(narrow(row));
            self.some[space / 64] |= 1 << (space % 64);
        }
    }
}

/// Returns the rows of one buffer of documents by the definition: for each, the longest first, all
/// rows are looked at, and of those with the least sufficient space the one changed last is taken.
///
/// The slow twin of [`BestFit`]: quadratic in the number of documents.
pub fn best_fit_plainly(config: PackConfig, documents: &[Document]) -> Vec<Vec<Span>> {
    let mut split = BestFit::new(PackConfig { align: 1, ..config });
    let mut rows: Vec<Vec<Span>> = Vec::new();
    let mut full = |spans: &[Span]| -> Result<(), Infallible> {
        rows.push(spans.to_vec());
        Ok(())
    };
    for &document in documents {
        let Ok(()) = split.push(document, &mut full);
    }
    let mut pieces = split.waiting;
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len));
    let mut open: Vec<(u32, usize, Vec<Span>)> = Vec::new();
    for (change, piece) in pieces.into_iter().enumerate() {
        let best = open
            .iter_mut()
            .filter(|(space, _, _)| *space >= piece.len)
            .min_by_key(|(space, changed, _)| (*space, std::cmp::Reverse(*changed)));
        if let Some((space, changed, row)) = best {
            *space = place(&config, row, piece);
            *changed = change;
        } else {
            let mut row = Vec::new();
            let space = place(&config, &mut row, piece);
            open.push((space, change, row));
        }
    }
    rows.extend(open.into_iter().map(|(_, _, row)| row));
    rows
}

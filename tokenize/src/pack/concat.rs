//! One document after the other, cut wherever a row is full.

use ratdata_schemas::Span;

use super::{Counts, Document, PackConfig, RowSink};

/// Packs documents as they come.
///
/// Row `r` begins with the last token of row `r - 1`, so that without alignment row `r` is the
/// stream's tokens from `r · seq_len` on: what the reference trains on.
#[derive(Debug)]
pub struct Concat {
    config: PackConfig,
    row: Vec<Span>,
    column: u32,
    counts: Counts,
}

impl Concat {
    /// Begins the first row.
    pub fn new(config: PackConfig) -> Self {
        Self { config, row: Vec::new(), column: 0, counts: Counts::default() }
    }

    /// Lays out one document.
    ///
    /// # Errors
    ///
    /// The sink refuses a row.
    pub fn push<S: RowSink>(&mut self, document: Document, sink: &mut S) -> Result<(), S::Error> {
        if document.len == 0 {
            self.counts.empty += 1;
            return Ok(());
        }
        self.counts.documents += 1;
        let row_len = self.config.row_len();
        let mut column = self.config.aligned(self.column);
        let (mut start, mut left) = (document.start, document.len);
        let mut rows = 1_u64;
        if column >= row_len {
            self.end_row(sink)?;
            column = self.config.aligned(self.column);
        }
        loop {
            let room = row_len - column;
            let len = u32::try_from(left).map_or(room, |left| left.min(room));
            self.row.push(Span { start, len, column });
            self.column = column + len;
            start += u64::from(len);
            left -= u64::from(len);
            if self.column == row_len {
                self.end_row(sink)?;
            }
            if left == 0 {
                break;
            }
            // The document continues behind the token that this row shares with the last.
            self.row.clear();
            (start, left, column) = (start - 1, left + 1, 0);
            rows += 1;
        }
        self.counts.cut += u64::from(rows > 1);
        Ok(())
    }

    /// Hands the row over and begins the next with its last token.
    fn end_row<S: RowSink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        sink.row(&self.row)?;
        self.counts.rows += 1;
        self.counts.tokens += self.row.iter().map(|span| u64::from(span.len)).sum::<u64>();
        let last = self.row.last().copied();
        self.row.clear();
        self.column = 0;
        if let Some(last) = last.filter(|last| last.column + last.len == self.config.row_len()) {
            let start = last.start + u64::from(last.len) - 1;
            self.row.push(Span { start, len: 1, column: 0 });
            self.column = 1;
        }
        Ok(())
    }

    /// Hands the last row over, full or not, and returns what was done.
    ///
    /// # Errors
    ///
    /// The sink refuses the row.
    pub fn finish<S: RowSink>(mut self, sink: &mut S) -> Result<Counts, S::Error> {
        // A row that holds nothing but the token it shares teaches nothing.
        if self.column > 1 {
            self.end_row(sink)?;
        }
        Ok(self.counts)
    }
}

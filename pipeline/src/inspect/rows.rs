//! One pass over rows: how full they are, how much is trained on, and counts about their documents.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use ratdata_schemas::{IGNORE_INDEX, Row, RowSet, TokenId};
use serde::Serialize;

use super::documents::{Contents, Counter, DocumentCounts, Marks};
use super::scan::MOST_IDS;
use crate::failure::Failure;
use crate::interrupt;

/// How many rows a thread takes at a time.
const TAKEN: u64 = 256;

/// Numbers about rows, apart from their documents and ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RowsView {
    /// How many rows there are.
    pub(crate) rows: u64,
    /// How many inputs a row has.
    pub(crate) seq_len: usize,
    /// Inputs that belong to a document.
    pub(crate) tokens: u64,
    /// Documents; a document in two rows counts twice.
    pub(crate) documents: u64,
    /// Positions whose label counts.
    pub(crate) trained: u64,
    /// Rows without a label that counts.
    pub(crate) untrained_rows: u64,
}

/// The counts of one pass over rows.
#[derive(Debug)]
pub(crate) struct RowsScan {
    pub(crate) view: RowsView,
    /// How often each id is an input, without padding.
    pub(crate) counts: Vec<u64>,
    /// Inputs whose ids are too large for a counter.
    pub(crate) beyond_table: u64,
    /// EOS among the inputs that are not at the end of a document.
    pub(crate) inner_eos: u64,
    /// Lengths and ends of the documents.
    pub(crate) document_counts: DocumentCounts,
    /// Documents and blocks by their content.
    pub(crate) contents: Contents,
}

/// What one thread counts.
struct Worker<'a> {
    counter: Counter<'a>,
    eos: Option<TokenId>,
    view: RowsView,
    counts: Vec<u64>,
    beyond_table: u64,
    inner_eos: u64,
    bytes: Vec<u8>,
}

/// Reads every row of a set.
///
/// # Errors
///
/// The user asked to stop.
pub(crate) fn scan_rows(set: &RowSet, marks: Marks) -> Result<RowsScan, Failure> {
    let contents = Contents::new();
    let next = AtomicU64::new(0);
    let counted = rayon::broadcast(|_| {
        let mut worker = Worker {
            counter: Counter::new(&contents, marks),
            eos: marks.eos,
            view: RowsView::default(),
            counts: Vec::new(),
            beyond_table: 0,
            inner_eos: 0,
            bytes: Vec::new(),
        };
        let mut row = Row::default();
        while !interrupt::asked() {
            let first = next.fetch_add(TAKEN, Ordering::Relaxed);
            if first >= set.num_rows() {
                break;
            }
            for number in first..set.num_rows().min(first + TAKEN) {
                set.read(number, &mut row);
                worker.add(&row);
            }
        }
        let document_counts = worker.counter.document_counts.clone();
        (worker.view, worker.counts, worker.beyond_table, worker.inner_eos, document_counts)
    });
    interrupt::check()?;
    let view = RowsView { rows: set.num_rows(), seq_len: set.seq_len(), ..RowsView::default() };
    let mut scan = RowsScan {
        view,
        counts: Vec::new(),
        beyond_table: 0,
        inner_eos: 0,
        document_counts: DocumentCounts::default(),
        contents,
    };
    for (view, counts, beyond_table, inner_eos, document_counts) in counted {
        scan.view.join(&view);
        if scan.counts.len() < counts.len() {
            scan.counts.resize(counts.len(), 0);
        }
        for (sum, count) in scan.counts.iter_mut().zip(&counts) {
            *sum += count;
        }
        scan.beyond_table += beyond_table;
        scan.inner_eos += inner_eos;
        scan.document_counts.join(document_counts);
    }
    Ok(scan)
}

impl Worker<'_> {
    fn add(&mut self, row: &Row) {
        let end = row.document_ends.last().map_or(0, |&end| end as usize).min(row.inputs.len());
        for &id in &row.inputs[..end] {
            let place = id as usize;
            if place >= MOST_IDS {
                self.beyond_table += 1;
                continue;
            }
            if place >= self.counts.len() {
                self.counts.resize(place + 1, 0);
            }
            self.counts[place] += 1;
            self.inner_eos += u64::from(self.eos == Some(id));
        }
        let mut start = 0;
        for &after in &row.document_ends {
            let after = (after as usize).min(end).max(start);
            self.document(row, start..after);
            start = after;
        }
        let trained = row.labels.iter().filter(|&&label| label != IGNORE_INDEX).count() as u64;
        self.view.tokens += end as u64;
        self.view.documents += row.document_ends.len() as u64;
        self.view.trained += trained;
        self.view.untrained_rows += u64::from(trained == 0);
    }

    fn document(&mut self, row: &Row, range: Range<usize>) {
        let ids = &row.inputs[range.clone()];
        self.bytes.clear();
        self.bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        let ends = ids.first().copied().zip(ids.last().copied());
        // The last label of a row is a token that is not one of its inputs.
        let closing = range.end.checked_sub(1).and_then(|last| row.labels.get(last));
        let closing = closing.and_then(|&label| TokenId::try_from(label).ok());
        self.counter.document(&self.bytes, size_of::<TokenId>(), ends, closing);
        let by_itself = self.eos.is_some() && ids.last().copied() == self.eos;
        self.inner_eos = self.inner_eos.saturating_sub(by_itself.into());
    }
}

impl RowsView {
    fn join(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.documents += other.documents;
        self.trained += other.trained;
        self.untrained_rows += other.untrained_rows;
    }

    /// Returns the share of the inputs that are padding.
    pub(crate) fn padding(&self) -> f64 {
        1.0 - share(self.tokens, self.places())
    }

    /// Returns the share of the labels that count.
    pub(crate) fn trained_share(&self) -> f64 {
        share(self.trained, self.places())
    }

    fn places(&self) -> u64 {
        self.rows * self.seq_len as u64
    }
}

/// Returns `part / whole`, or 0 if the whole is 0.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

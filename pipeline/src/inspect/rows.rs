//! One pass over rows: how full they are, and how much of them is learnt.

use ratdata_schemas::{IGNORE_INDEX, Row, RowSet};
use rayon::prelude::*;
use serde::Serialize;

use super::scan::MOST_IDS;

/// How many rows a thread takes at a time.
const TAKEN: u64 = 256;

/// What one pass over rows counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RowsView {
    /// How many rows there are.
    pub(crate) rows: u64,
    /// How many inputs a row has.
    pub(crate) seq_len: usize,
    /// Inputs that belong to a document.
    pub(crate) tokens: u64,
    /// Documents, those that lie in two rows counted in both.
    pub(crate) documents: u64,
    /// Positions whose label counts.
    pub(crate) learnt: u64,
    /// Rows in which nothing is learnt.
    pub(crate) unlearnt_rows: u64,
    /// How often each id is an input, padding left out.
    #[serde(skip)]
    pub(crate) counts: Vec<u64>,
    /// Inputs whose ids are too large to be counted apart.
    #[serde(skip)]
    pub(crate) beyond_table: u64,
}

impl RowsView {
    /// Reads every row of a set.
    pub(crate) fn of(set: &RowSet) -> Self {
        let stretches: Vec<u64> = (0..set.num_rows()).step_by(256).collect();
        let counted = stretches
            .into_par_iter()
            .fold(Self::default, |mut view, first| {
                let mut row = Row::default();
                for number in first..set.num_rows().min(first + TAKEN) {
                    set.read(number, &mut row);
                    view.add(&row);
                }
                view
            })
            .reduce(Self::default, Self::join);
        Self { rows: set.num_rows(), seq_len: set.seq_len(), ..counted }
    }

    fn add(&mut self, row: &Row) {
        let end = row.document_ends.last().copied().unwrap_or(0) as usize;
        for &id in &row.inputs[..end.min(row.inputs.len())] {
            let place = id as usize;
            if place >= MOST_IDS {
                self.beyond_table += 1;
                continue;
            }
            if place >= self.counts.len() {
                self.counts.resize(place + 1, 0);
            }
            self.counts[place] += 1;
        }
        let learnt = row.labels.iter().filter(|&&label| label != IGNORE_INDEX).count() as u64;
        self.tokens += end as u64;
        self.documents += row.document_ends.len() as u64;
        self.learnt += learnt;
        self.unlearnt_rows += u64::from(learnt == 0);
    }

    fn join(mut self, other: Self) -> Self {
        let (mut counts, fewer) = if self.counts.len() >= other.counts.len() {
            (std::mem::take(&mut self.counts), other.counts)
        } else {
            (other.counts, std::mem::take(&mut self.counts))
        };
        for (count, more) in counts.iter_mut().zip(fewer) {
            *count += more;
        }
        Self {
            tokens: self.tokens + other.tokens,
            documents: self.documents + other.documents,
            learnt: self.learnt + other.learnt,
            unlearnt_rows: self.unlearnt_rows + other.unlearnt_rows,
            counts,
            beyond_table: self.beyond_table + other.beyond_table,
            ..self
        }
    }

    /// Returns the share of the inputs that are padding.
    pub(crate) fn padding(&self) -> f64 {
        1.0 - share(self.tokens, self.places())
    }

    /// Returns the share of the labels that count.
    pub(crate) fn learnt_share(&self) -> f64 {
        share(self.learnt, self.places())
    }

    fn places(&self) -> u64 {
        self.rows * self.seq_len as u64
    }
}

/// Returns a part of a whole; of nothing, nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

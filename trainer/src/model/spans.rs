//! What the queries of packed rows see: for each of them a range of keys, computed on the host.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::context::signed;

/// The range of shared keys that each query of each row sees.
///
/// Documents lie one after another, so neither end of the range ever goes back from one query to
/// the next: the keys of some neighbouring queries are a range, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spans {
    rows: Vec<RowSpans>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RowSpans {
    /// The first key that a query sees.
    first: Vec<usize>,
    /// The key after the last that it sees.
    after: Vec<usize>,
    /// Where the shared keys lie, if they are the ends of chunks.
    ends: Option<Vec<usize>>,
}

impl Spans {
    /// Lets each query see the keys of its document, `window` before its own at most, and its own.
    pub(crate) fn windows(starts: &[Vec<usize>], seq: usize, window: usize) -> Self {
        let row = |starts: &Vec<usize>| {
            let documents = documents(starts, seq);
            let first = (0..seq).map(|t| documents[t].max(t.saturating_sub(window))).collect();
            RowSpans { first, after: (1..=seq).collect(), ends: None }
        };
        Self { rows: starts.iter().map(row).collect() }
    }

    /// Lets each query see the ends of the earlier chunks of its document, which begins with a
    /// chunk of its own.
    pub(crate) fn chunks(starts: &[Vec<usize>], seq: usize, chunk_len: usize) -> Self {
        let row = |starts: &Vec<usize>| {
            let (documents, chunks) = (documents(starts, seq), chunks(starts, seq, chunk_len));
            let first = documents.iter().map(|&start| chunks[start]).collect();
            let last = |t: usize| t + 1 == seq || chunks[t] != chunks[t + 1];
            let ends = Some((0..seq).filter(|&t| last(t)).collect());
            RowSpans { first, after: chunks, ends }
        };
        Self { rows: starts.iter().map(row).collect() }
    }

    /// Returns the keys that some of these queries see, as a range.
    pub(crate) fn seen(&self, row: usize, queries: Range<usize>) -> (usize, usize) {
        let row = &self.rows[row];
        (row.first[queries.start], row.after[queries.end - 1])
    }

    /// Returns how many keys a query of this row sees at most.
    pub(crate) fn widest(&self, row: usize) -> usize {
        let RowSpans { first, after, .. } = &self.rows[row];
        first.iter().zip(after).map(|(first, after)| after - first).max().unwrap_or(0)
    }

    /// Returns where the shared keys of a row lie, if they are the ends of chunks.
    pub(crate) fn ends(&self, row: usize) -> Option<&[usize]> {
        self.rows[row].ends.as_deref()
    }

    /// Lays the ranges and the ends out on a device: [batch, 2, seq] and [batch, chunks], rows
    /// with fewer chunks filled up with 0, and one 0 where the keys are no ends of chunks.
    pub(crate) fn to_device(&self, device: &Device) -> (Tensor<3, Int>, Tensor<2, Int>) {
        let (batch, seq) = (self.rows.len(), self.rows.first().map_or(0, |row| row.first.len()));
        let bounds = self.rows.iter().flat_map(|row| row.first.iter().chain(&row.after));
        let bounds: Vec<i64> = bounds.map(|&bound| signed(bound)).collect();
        let bounds = Tensor::from_data(TensorData::new(bounds, [batch, 2, seq]), device);
        let all: Vec<&[usize]> = (0..batch).map(|row| self.ends(row).unwrap_or(&[])).collect();
        let most = all.iter().map(|ends| ends.len()).max().unwrap_or(0).max(1);
        let filled = |ends: &[usize], at: usize| signed(ends.get(at).copied().unwrap_or(0));
        let ends: Vec<i64> =
            all.iter().flat_map(|ends| (0..most).map(|at| filled(ends, at))).collect();
        (bounds, Tensor::from_data(TensorData::new(ends, [batch, most]), device))
    }
}

/// Returns for each token where its document begins.
pub(crate) fn documents(starts: &[usize], seq: usize) -> Vec<usize> {
    let (mut number, mut start) = (0, 0);
    let mut begins = |t: usize| {
        if starts.get(number + 1) == Some(&t) {
            (number, start) = (number + 1, t);
        }
        start
    };
    (0..seq).map(&mut begins).collect()
}

/// Returns for each token the number of its chunk, where each document begins a new one.
pub(crate) fn chunks(starts: &[usize], seq: usize, chunk_len: usize) -> Vec<usize> {
    let documents = documents(starts, seq);
    let mut number = 0;
    (0..seq)
        .map(|t| {
            number += usize::from(t > 0 && (t - documents[t]).is_multiple_of(chunk_len));
            number
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_sees_its_document_and_no_further_than_the_window() {
        let spans = Spans::windows(&[vec![0, 3, 4]], 8, 2);

        let seen: Vec<_> = (0..8).map(|t| spans.seen(0, t..t + 1)).collect();

        assert_eq!(seen, [(0, 1), (0, 2), (0, 3), (3, 4), (4, 5), (4, 6), (4, 7), (5, 8)]);
        assert_eq!(spans.widest(0), 3);
    }

    #[test]
    fn each_document_begins_with_a_chunk_of_its_own() {
        let spans = Spans::chunks(&[vec![0, 3]], 8, 2);

        let seen: Vec<_> = (0..8).map(|t| spans.seen(0, t..t + 1)).collect();

        assert_eq!(spans.ends(0), Some(&[1, 2, 4, 6, 7][..]));
        assert_eq!(seen, [(0, 0), (0, 0), (0, 1), (2, 2), (2, 2), (2, 3), (2, 3), (2, 4)]);
    }
}

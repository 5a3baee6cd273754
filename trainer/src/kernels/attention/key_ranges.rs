//! Which keys the queries of packed rows see: a range for each query, computed on the host.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::convert::narrow;
use crate::documents::{chunk_numbers, document_starts};

/// The range of shared keys that each query of each row sees.
///
/// Documents follow one another, so neither end of the range ever decreases from one query to the
/// next. The keys that some neighbouring queries see are therefore a range, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRanges {
    rows: Vec<RowKeyRanges>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RowKeyRanges {
    /// The first key that a query sees.
    first: Vec<usize>,
    /// The key after the last key that it sees.
    after: Vec<usize>,
    /// The positions of the shared keys, if these are the ends of chunks.
    ends: Option<Vec<usize>>,
}

impl KeyRanges {
    /// Lets each query see its own key and the keys of its document that are at most `window`
    /// before it.
    pub(crate) fn windows(starts: &[Vec<usize>], seq: usize, window: usize) -> Self {
        let row = |starts: &Vec<usize>| {
            let documents = document_starts(starts, seq);
            let first = (0..seq).map(|t| documents[t].max(t.saturating_sub(window))).collect();
            RowKeyRanges { first, after: (1..=seq).collect(), ends: None }
        };
        Self { rows: starts.iter().map(row).collect() }
    }

    /// Lets each query see the ends of the earlier chunks of its document. Each document begins
    /// with a new chunk.
    pub(crate) fn chunks(starts: &[Vec<usize>], seq: usize, chunk_len: usize) -> Self {
        let row = |starts: &Vec<usize>| {
            let documents = document_starts(starts, seq);
            let chunks = chunk_numbers(starts, seq, chunk_len);
            let first = documents.iter().map(|&start| chunks[start]).collect();
            let is_end = |t: usize| t + 1 == seq || chunks[t] != chunks[t + 1];
            let ends = Some((0..seq).filter(|&t| is_end(t)).collect());
            RowKeyRanges { first, after: chunks, ends }
        };
        Self { rows: starts.iter().map(row).collect() }
    }

    /// Returns the keys that at least one of these queries sees.
    pub(crate) fn seen(&self, row: usize, queries: Range<usize>) -> Range<usize> {
        let row = &self.rows[row];
        row.first[queries.start]..row.after[queries.end - 1]
    }

    /// Returns how many keys a query of this row sees at most.
    pub(crate) fn widest(&self, row: usize) -> usize {
        let RowKeyRanges { first, after, .. } = &self.rows[row];
        first.iter().zip(after).map(|(first, after)| after - first).max().unwrap_or(0)
    }

    /// Returns the positions of a row's shared keys, if these are the ends of chunks.
    pub(crate) fn ends(&self, row: usize) -> Option<&[usize]> {
        self.rows[row].ends.as_deref()
    }

    /// Copies the ranges and the ends to a device.
    ///
    /// # Shapes
    /// Ranges: [batch, 2, seq]; ends: [batch, chunks]. Rows with fewer chunks are filled up with
    /// 0, and there is a single 0 where the keys are no ends of chunks.
    pub(crate) fn to_device(&self, device: &Device) -> (Tensor<3, Int>, Tensor<2, Int>) {
        let (batch, seq) = (self.rows.len(), self.rows.first().map_or(0, |row| row.first.len()));
        let bounds = self.rows.iter().flat_map(|row| row.first.iter().chain(&row.after));
        let bounds: Vec<i64> = bounds.map(|&bound| narrow(bound)).collect();
        let bounds = Tensor::from_data(TensorData::new(bounds, [batch, 2, seq]), device);
        let all: Vec<&[usize]> = (0..batch).map(|row| self.ends(row).unwrap_or(&[])).collect();
        let most = all.iter().map(|ends| ends.len()).max().unwrap_or(0).max(1);
        let filled = |ends: &[usize], at: usize| narrow(ends.get(at).copied().unwrap_or(0));
        let ends: Vec<i64> =
            all.iter().flat_map(|ends| (0..most).map(|at| filled(ends, at))).collect();
        (bounds, Tensor::from_data(TensorData::new(ends, [batch, most]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_sees_its_document_and_no_further_than_the_window() {
        let ranges = KeyRanges::windows(&[vec![0, 3, 4]], 8, 2);

        let seen: Vec<_> = (0..8).map(|t| ranges.seen(0, t..t + 1)).collect();

        assert_eq!(seen, [0..1, 0..2, 0..3, 3..4, 4..5, 4..6, 4..7, 5..8]);
        assert_eq!(ranges.widest(0), 3);
    }

    #[test]
    fn each_document_begins_with_a_chunk_of_its_own() {
        let ranges = KeyRanges::chunks(&[vec![0, 3]], 8, 2);

        let seen: Vec<_> = (0..8).map(|t| ranges.seen(0, t..t + 1)).collect();

        assert_eq!(ranges.ends(0), Some(&[1, 2, 4, 6, 7][..]));
        assert_eq!(seen, [0..0, 0..0, 0..1, 2..2, 2..2, 2..3, 2..3, 2..4]);
    }
}

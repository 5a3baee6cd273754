//! The ids of one batch of rows, on their way to the writer.

/// The ids of one batch of rows.
#[derive(Debug)]
pub(crate) struct EncodedBatch<W> {
    pub(crate) ids: Vec<W>,
    pub(crate) lens: Vec<u32>,
    /// The size of each document's text.
    pub(crate) text_lens: Vec<u64>,
    pub(crate) rows: u64,
    /// The rows that were left out, by their place in the batch, and what is wrong with each.
    pub(crate) bad: Vec<(u64, String)>,
    /// The rows in whose text U+FFFD took the place of something, and where each stands.
    pub(crate) replaced: Vec<(u64, String)>,
}

impl<W> EncodedBatch<W> {
    /// Returns how many bytes of text its documents have.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_lens.iter().sum()
    }

    /// Keeps the first `documents` documents and the rows up to the last of them.
    pub(crate) fn truncate(&mut self, documents: usize) {
        if documents > self.lens.len() {
            return;
        }
        self.lens.truncate(documents);
        self.text_lens.truncate(documents);
        self.ids.truncate(self.lens.iter().map(|&len| len as usize).sum());
        // Each bad row before the last kept document pushes it one row further.
        let mut rows = documents as u64;
        for (row, _) in &self.bad {
            rows += u64::from(*row < rows);
        }
        self.bad.retain(|(row, _)| *row < rows);
        self.replaced.retain(|(row, _)| *row < rows);
        self.rows = rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_behind_the_last_document_that_is_kept() {
        let block = || EncodedBatch::<u16> {
            ids: vec![1, 2, 2, 3, 3, 3],
            lens: vec![1, 2, 3],
            text_lens: vec![10, 20, 30],
            rows: 6,
            bad: vec![(0, "bad".into()), (2, "bad".into()), (5, "bad".into())],
            replaced: vec![(1, "here".into()), (4, "here".into())],
        };
        for (documents, rows, bad, replaced, ids) in
            [(1, 2, 1, 1, 1), (2, 4, 2, 1, 3), (3, 5, 2, 2, 6), (4, 6, 3, 2, 6)]
        {
            let mut cut = block();
            cut.truncate(documents);

            assert_eq!((cut.rows, cut.bad.len(), cut.ids.len()), (rows, bad, ids));
            assert_eq!(cut.replaced.len(), replaced);
        }
    }
}

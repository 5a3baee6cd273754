//! The document index: the end of every document as `u64`, in a file next to the bin.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bin_error::BinError;
use crate::file_record::FileRecord;
use crate::mmap::MappedFile;

/// The document index of one bin, mapped and checked against it.
///
/// Entry `i` is the position one past document `i`'s last token, so document `i` is
/// `ends[i-1]..ends[i]` (with 0 before the first) and the last end is the bin's length.
#[derive(Debug)]
pub struct DocIndex {
    path: PathBuf,
    file: MappedFile,
}

impl DocIndex {
    /// Maps the index at `path`; [`DocIndex::check`] checks its content.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or its size is not a whole number of entries.
    pub fn open(path: &Path) -> Result<Self, BinError> {
        let file = MappedFile::open(path)
            .map_err(|source| BinError::Io { path: path.to_owned(), source })?;
        let bytes = file.bytes().len() as u64;
        if !bytes.is_multiple_of(8) {
            return Err(BinError::Ragged { path: path.to_owned(), bytes, width: 8 });
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Maps the index of an artifact in the folder `root`, which holds `documents` ends.
    ///
    /// # Errors
    ///
    /// The file cannot be read, a link leads out of the folder, or it has another size.
    pub fn of_record(record: &FileRecord, root: &Path, documents: u64) -> Result<Self, BinError> {
        let file = record.map(root, documents.saturating_mul(8))?;
        Ok(Self { path: record.place(root), file })
    }

    /// Checks that the ends do not decrease and that the last one is the bin's length.
    ///
    /// # Errors
    ///
    /// Names the first document that is wrong.
    pub fn check(&self, tokens: u64) -> Result<(), BinError> {
        let wrong = |document: usize, end: u64, reason: String| BinError::Index {
            path: self.path.clone(),
            document: document as u64,
            end,
            reason,
        };
        let mut before = 0;
        for (document, &end) in self.ends().iter().enumerate() {
            if end < before {
                return Err(wrong(document, end, format!("before it began at {before}")));
            }
            if end > tokens {
                return Err(wrong(document, end, format!("the bin has {tokens}")));
            }
            before = end;
        }
        if before != tokens {
            let last = self.ends().len().saturating_sub(1);
            return Err(wrong(last, before, format!("the last, but the bin has {tokens}")));
        }
        Ok(())
    }

    /// Returns the path of the index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the end of every document.
    pub fn ends(&self) -> &[u64] {
        self.file.as_u64()
    }

    /// Returns how many documents there are.
    pub fn len(&self) -> usize {
        self.ends().len()
    }

    /// Returns whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the token range of document `document`, or `None` past the last.
    pub fn range(&self, document: usize) -> Option<Range<u64>> {
        let end = *self.ends().get(document)?;
        let start = if document == 0 { 0 } else { self.ends()[document - 1] };
        Some(start..end)
    }

    /// Returns the document that token `token` belongs to, or `None` past the last token.
    pub fn document_of(&self, token: u64) -> Option<usize> {
        let document = self.ends().partition_point(|&end| end <= token);
        (document < self.len()).then_some(document)
    }
}

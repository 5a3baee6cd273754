//! The documents of a set of bins by their number, in any order.

use std::ops::Range;

use ratdata_schemas::{BinError, BinSet, DocIndex, Shard, TokenBin, narrow};

/// The documents of one split of one artifact.
#[derive(Debug, Default)]
pub(super) struct Documents<'a> {
    parts: Vec<Part<'a>>,
    len: u64,
    tokens: u64,
    masked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    /// The documents of the parts before.
    first: u64,
    shard: &'a Shard,
    index: &'a DocIndex,
}

impl<'a> Documents<'a> {
    /// Finds the documents, and checks the indexes.
    ///
    /// # Errors
    ///
    /// An index does not fit its bin.
    pub(super) fn of(bins: &'a BinSet) -> Result<Self, BinError> {
        let (mut parts, mut len) = (Vec::new(), 0);
        for shard in bins.shards() {
            let Some(index) = shard.index() else { continue };
            index.check(shard.bin().len())?;
            parts.push(Part { first: len, shard, index });
            len += index.len() as u64;
        }
        let masked = bins.shards().iter().any(|shard| shard.mask().is_some());
        Ok(Self { parts, len, tokens: bins.num_tokens(), masked })
    }

    /// Returns how many documents there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Returns how many tokens they have.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Returns their bins, in order.
    pub(super) fn bins(&self) -> impl Iterator<Item = &'a TokenBin> + '_ {
        self.parts.iter().map(|part| part.shard.bin())
    }

    /// Returns whether a loss mask says which tokens are trained on.
    pub(super) fn is_masked(&self) -> bool {
        self.masked
    }

    /// Returns where a document is: its shard, and its tokens there.
    ///
    /// # Panics
    ///
    /// Past the last document, as a slice does.
    pub(super) fn locate(&self, document: u64) -> (&'a Shard, Range<usize>) {
        assert!(document < self.len, "document {document} of {}", self.len);
        // A part without a document begins where the next one does.
        let part = &self.parts[self.parts.partition_point(|part| part.first <= document) - 1];
        let within: usize = narrow(document - part.first);
        let ends = part.index.ends();
        let begin = if within == 0 { 0 } else { ends[within - 1] };
        (part.shard, narrow(begin)..narrow(ends[within]))
    }

    /// Returns how many tokens a document has.
    ///
    /// # Panics
    ///
    /// Past the last document, as a slice does.
    pub(super) fn tokens_of(&self, document: u64) -> u64 {
        self.locate(document).1.len() as u64
    }
}

//! Counts about documents in streams and in rows: lengths, ends, repeats.

use std::hash::Hasher;

use ratdata_schemas::TokenId;
use rustc_hash::FxHasher;

use super::lengths::Lengths;
use super::repeats::{Adder, Repeats};

/// The length of the blocks whose repeats are counted.
pub(super) const BLOCK: usize = 512;

/// The most different documents and blocks that are counted exactly: about 250 MB in total.
const MOST_DOCUMENTS: usize = 7 << 20;
const MOST_BLOCKS: usize = 7 << 19;

/// BOS and EOS, if they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) bos: Option<TokenId>,
    pub(crate) eos: Option<TokenId>,
}

/// Documents and blocks by their content, for all threads.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) documents: Repeats,
    pub(crate) blocks: Repeats,
}

impl Contents {
    pub(crate) fn new() -> Self {
        Self { documents: Repeats::new(MOST_DOCUMENTS), blocks: Repeats::new(MOST_BLOCKS) }
    }
}

/// The counts of one thread.
#[derive(Debug)]
pub(crate) struct Counter<'a> {
    pub(crate) document_counts: DocumentCounts,
    documents: Adder<'a>,
    blocks: Adder<'a>,
    marks: Marks,
}

/// Counts about documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DocumentCounts {
    /// Their lengths.
    pub(crate) lengths: Lengths,
    /// Documents without a token, or with only BOS and EOS.
    pub(crate) empty: u64,
    /// Documents that end with EOS.
    pub(crate) ended: u64,
}

impl DocumentCounts {
    pub(crate) fn join(&mut self, other: Self) {
        self.lengths.join(other.lengths);
        self.empty += other.empty;
        self.ended += other.ended;
    }
}

impl<'a> Counter<'a> {
    pub(crate) fn new(contents: &'a Contents, marks: Marks) -> Self {
        let (documents, blocks) = (contents.documents.adder(), contents.blocks.adder());
        Self { document_counts: DocumentCounts::default(), documents, blocks, marks }
    }

    /// Counts a document: its stored bytes, the width of an id, and its first and last ids.
    ///
    /// `closing` is the token after its last one: the last label of a row, whose inputs end before it.
    pub(crate) fn document(
        &mut self,
        bytes: &[u8],
        width: usize,
        ids: Option<(TokenId, TokenId)>,
        closing: Option<TokenId>,
    ) {
        let len = bytes.len() / width;
        self.document_counts.lengths.add(len as u64);
        let Some((first, last)) = ids.filter(|_| len > 0) else {
            self.document_counts.empty += 1;
            return;
        };
        let Marks { bos, eos } = self.marks;
        let ends = eos == Some(last);
        self.document_counts.ended += u64::from(ends || (eos.is_some() && closing == eos));
        // An empty text has only BOS and EOS.
        let begins = bos == Some(first);
        let marks = usize::from(begins) + usize::from(ends && (len > 1 || !begins));
        self.document_counts.empty += u64::from(marks == len);
        let hash = self.hash_document(bytes, width);
        self.documents.add(hash);
    }

    /// Counts the blocks of tokens that are not in a document.
    pub(crate) fn blocks(&mut self, bytes: &[u8], width: usize) {
        for block in bytes.chunks_exact(BLOCK * width) {
            self.blocks.add(hash(block));
        }
    }

    /// Returns a document's hash. It is made from the hashes of its blocks, so each byte is read once.
    fn hash_document(&mut self, bytes: &[u8], width: usize) -> u64 {
        let blocks = bytes.chunks_exact(BLOCK * width);
        let mut whole = hash(blocks.remainder());
        for block in blocks {
            let block = hash(block);
            self.blocks.add(block);
            whole = mixed(whole, block);
        }
        whole
    }
}

/// Returns a hash of some bytes. It is the same on every machine. Among a hundred million documents,
/// two share a hash with a chance of 1 in 3,000.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Joins two hashes into one that depends on their order.
fn mixed(left: u64, right: u64) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(left);
    hasher.write_u64(right);
    hasher.finish()
}

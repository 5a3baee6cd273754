//! What is counted of documents, wherever they lie: lengths, ends, repeats.

use std::hash::Hasher;

use ratdata_schemas::TokenId;
use rustc_hash::FxHasher;

use super::lengths::Lengths;
use super::repeats::{Adder, Repeats};

/// The length of the blocks that are looked for elsewhere.
pub(super) const BLOCK: usize = 512;

/// So many different documents and blocks are kept apart: together about 250 MB.
const MOST_DOCUMENTS: usize = 7 << 20;
const MOST_BLOCKS: usize = 7 << 19;

/// The ids that begin and end a document, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) bos: Option<TokenId>,
    pub(crate) eos: Option<TokenId>,
}

/// Documents and blocks by their content, of all threads.
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

/// What one thread counts of documents.
#[derive(Debug)]
pub(crate) struct Counter<'a> {
    pub(crate) tally: Tally,
    documents: Adder<'a>,
    blocks: Adder<'a>,
    marks: Marks,
}

/// What was counted of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Their lengths.
    pub(crate) lengths: Lengths,
    /// Those without a token, or with none but BOS and EOS.
    pub(crate) empty: u64,
    /// Those that end with EOS.
    pub(crate) ended: u64,
}

impl Tally {
    pub(crate) fn join(&mut self, other: Self) {
        self.lengths.join(other.lengths);
        self.empty += other.empty;
        self.ended += other.ended;
    }
}

impl<'a> Counter<'a> {
    pub(crate) fn new(contents: &'a Contents, marks: Marks) -> Self {
        let (documents, blocks) = (contents.documents.adder(), contents.blocks.adder());
        Self { tally: Tally::default(), documents, blocks, marks }
    }

    /// Counts a document: its bytes as they lie, the width of an id, and its first and last ids.
    ///
    /// `closing` is what follows its last token without being one of its own: the last label of a
    /// row, whose inputs end one before.
    pub(crate) fn document(
        &mut self,
        bytes: &[u8],
        width: usize,
        ids: Option<(TokenId, TokenId)>,
        closing: Option<TokenId>,
    ) {
        let len = bytes.len() / width;
        self.tally.lengths.add(len as u64);
        let Some((first, last)) = ids.filter(|_| len > 0) else {
            self.tally.empty += 1;
            return;
        };
        let Marks { bos, eos } = self.marks;
        let ends = eos == Some(last);
        self.tally.ended += u64::from(ends || (eos.is_some() && closing == eos));
        // A text of nothing leaves its marks alone.
        let begins = bos == Some(first);
        let marks = usize::from(begins) + usize::from(ends && (len > 1 || !begins));
        self.tally.empty += u64::from(marks == len);
        let hash = self.hash_document(bytes, width);
        self.documents.add(hash);
    }

    /// Counts the blocks of tokens that no document claims.
    pub(crate) fn blocks(&mut self, bytes: &[u8], width: usize) {
        for block in bytes.chunks_exact(BLOCK * width) {
            self.blocks.add(hash(block));
        }
    }

    /// Returns a document's hash, which is made of its blocks': each byte is read once.
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

/// Returns a hash of some bytes: the same on every machine, and good enough to tell a hundred
/// million documents apart (two of them share one with a chance of 1 in 3,000).
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Joins two hashes into one, in which their order counts.
fn mixed(left: u64, right: u64) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(left);
    hasher.write_u64(right);
    hasher.finish()
}

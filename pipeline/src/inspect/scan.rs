//! One pass over the tokens of a set of bins: how often each id stands there, and what is odd.
//!
//! Threads take stretches of about a million tokens, cut at document ends where there is an index,
//! and add up counts of their own; what they find does not depend on how many they are.

use std::hash::Hasher;
use std::ops::Range;

use ratdata_schemas::{BinSet, Shard, TokenId, Tokens};
use rayon::prelude::*;
use rustc_hash::FxHasher;

use super::lengths::Lengths;
use super::repeats::Repeats;

/// How many tokens a thread takes at a time.
const STRETCH: u64 = 1 << 20;

/// The length of the blocks that are looked for elsewhere.
const BLOCK: usize = 512;

/// What one pass over a split counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// How often each id stands there.
    pub(crate) counts: Vec<u64>,
    /// The lengths of the documents.
    pub(crate) lengths: Lengths,
    /// Documents without a token.
    pub(crate) empty: u64,
    /// Documents that end with EOS.
    pub(crate) ended: u64,
    /// Tokens that the loss mask leaves out.
    pub(crate) masked: u64,
    /// The longest run of one id, and the id.
    pub(crate) longest_run: (u64, TokenId),
    /// Documents by their content.
    pub(crate) documents: Repeats,
    /// Blocks of 512 tokens by their content.
    pub(crate) blocks: Repeats,
}

/// A stretch of one shard.
struct Stretch<'a> {
    shard: &'a Shard,
    tokens: Range<usize>,
    documents: Range<usize>,
}

/// Scans a set of bins; `ids` is how many ids are counted apart, and `eos` ends documents.
///
/// Where a bin has no index, documents end at EOS.
pub(crate) fn scan(set: &BinSet, ids: usize, eos: Option<TokenId>) -> Scan {
    let stretches: Vec<Stretch<'_>> =
        set.shards().iter().flat_map(|shard| stretches(shard, eos)).collect();
    stretches
        .par_iter()
        .fold(
            || Scan { counts: vec![0; ids], ..Scan::default() },
            |mut scan, stretch| {
                scan.add(stretch, eos);
                scan
            },
        )
        .reduce(|| Scan { counts: vec![0; ids], ..Scan::default() }, Scan::join)
}

/// Cuts a shard into stretches that end where documents do.
fn stretches(shard: &Shard, eos: Option<TokenId>) -> Vec<Stretch<'_>> {
    let mut stretches = Vec::new();
    let len = shard.bin().tokens().len();
    let Some(index) = shard.index() else {
        let mut start = 0;
        while start < len {
            let end = next_end(shard.bin().tokens(), start + place(STRETCH), eos);
            stretches.push(Stretch { shard, tokens: start..end, documents: 0..0 });
            start = end;
        }
        return stretches;
    };
    let ends = index.ends();
    let (mut document, mut token) = (0, 0_u64);
    while document < ends.len() {
        let after = ends.partition_point(|&end| end < token + STRETCH);
        let last = after.clamp(document + 1, ends.len());
        // An index that was damaged may point anywhere; reading stays within the bin.
        let tokens = place(token).min(len)..place(ends[last - 1]).min(len);
        stretches.push(Stretch { shard, tokens, documents: document..last });
        (document, token) = (last, ends[last - 1]);
    }
    stretches
}

/// Returns the end of the document that reaches `from`.
fn next_end(tokens: Tokens<'_>, from: usize, eos: Option<TokenId>) -> usize {
    let Some(eos) = eos else { return from.min(tokens.len()) };
    (from..tokens.len())
        .find(|&at| at > 0 && tokens.get(at - 1) == Some(eos))
        .unwrap_or(tokens.len())
}

impl Scan {
    fn add(&mut self, stretch: &Stretch<'_>, eos: Option<TokenId>) {
        let tokens = stretch.shard.bin().tokens();
        let Some(slice) = tokens.slice(stretch.tokens.clone()) else { return };
        match slice {
            Tokens::U16(ids) => self.count(ids, |&id| usize::from(id)),
            Tokens::U32(ids) => self.count(ids, |&id| id as usize),
        }
        if let Some(mask) = stretch.shard.mask() {
            let learnt = |at: usize| mask[at / 8] >> (at % 8) & 1 == 1;
            self.masked += stretch.tokens.clone().filter(|&at| !learnt(at)).count() as u64;
        }
        if let Some(index) = stretch.shard.index() {
            for document in stretch.documents.clone() {
                if let Some(range) = index.range(document) {
                    let start = place(range.start);
                    self.document(stretch.shard, start..place(range.end).max(start), eos);
                }
            }
            return;
        }
        let mut start = stretch.tokens.start;
        while start < stretch.tokens.end {
            let end = next_end(tokens, start + 1, eos).min(stretch.tokens.end);
            self.document(stretch.shard, start..end, eos);
            start = end;
        }
    }

    /// Counts ids and finds the longest run of one.
    fn count<T: Copy + PartialEq>(&mut self, ids: &[T], of: impl Fn(&T) -> usize) {
        let mut run = 0;
        let mut before = None;
        for id in ids {
            let number = of(id);
            if number >= self.counts.len() {
                self.counts.resize(number + 1, 0);
            }
            self.counts[number] += 1;
            run = if before == Some(*id) { run + 1 } else { 1 };
            before = Some(*id);
            if run > self.longest_run.0 {
                self.longest_run = (run, TokenId::try_from(number).unwrap_or(TokenId::MAX));
            }
        }
    }

    /// Counts one document of a shard.
    fn document(&mut self, shard: &Shard, range: Range<usize>, eos: Option<TokenId>) {
        let width = shard.bin().dtype().width();
        let len = range.len();
        self.lengths.add(len as u64);
        let bytes = shard.bin().bytes().get(range.start * width..range.end * width);
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            self.empty += 1;
            return;
        };
        self.documents.add(hash(bytes));
        for block in bytes.chunks_exact(BLOCK * width) {
            self.blocks.add(hash(block));
        }
        self.ended += u64::from(eos.is_some() && shard.bin().tokens().get(range.end - 1) == eos);
    }

    fn join(mut self, other: Self) -> Self {
        let (mut counts, fewer) = if self.counts.len() >= other.counts.len() {
            (self.counts, other.counts)
        } else {
            (other.counts, self.counts)
        };
        for (count, more) in counts.iter_mut().zip(fewer) {
            *count += more;
        }
        self.lengths.join(other.lengths);
        self.documents.join(other.documents);
        self.blocks.join(other.blocks);
        let run = |run: (u64, TokenId)| (run.0, std::cmp::Reverse(run.1));
        let longest_run = if run(other.longest_run) > run(self.longest_run) {
            other.longest_run
        } else {
            self.longest_run
        };
        Self {
            counts,
            empty: self.empty + other.empty,
            ended: self.ended + other.ended,
            masked: self.masked + other.masked,
            longest_run,
            ..self
        }
    }
}

/// Returns a hash of some bytes: the same on every machine, and good enough to tell a hundred
/// million documents apart (two of them share one with a chance of 1 in 3,000).
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

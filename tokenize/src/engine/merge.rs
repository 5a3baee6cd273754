//! Merging one unit: a scan over small arrays for short ones, a heap over a linked list for long.
//!
//! Both do the same merges in the same order; which one runs is a matter of speed alone. The scan
//! costs O(n²) with a tiny constant, the heap O(n log n) whatever the text.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ratdata_schemas::TokenId;

use super::bpe::{Bpe, Symbol};
use super::pairs::NO_RANK;

/// Up to this many symbols the scan wins over the heap.
const SCANNED: usize = 48;

/// Merges units; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    symbols: Vec<Symbol>,
    starts: Vec<u32>,
    ranks: Vec<u32>,
    becomes: Vec<Symbol>,
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<(u32, u32, u32)>>, // rank, place, length of the pair when pushed
}

/// A symbol in the linked list of a long unit.
#[derive(Clone, Copy, Debug)]
struct Node {
    symbol: Symbol,
    start: u32,
    len: u32, // 0 once it was merged away
    prev: u32,
    next: u32,
}

const NOWHERE: u32 = u32::MAX;

/// The longest text that is merged as one; see [`Merger::encode`].
pub(crate) const MAX_UNIT: usize = 1 << 31;

impl Merger {
    /// Appends the ids of `unit`, which is shorter than [`MAX_UNIT`].
    pub(crate) fn encode(&mut self, bpe: &Bpe, unit: &str, out: &mut Vec<TokenId>) {
        if let Some(whole) = &bpe.whole_units
            && let Some(&id) = whole.get(unit.as_bytes())
        {
            out.push(id);
            return;
        }
        if unit.len() <= SCANNED { self.scan(bpe, unit, out) } else { self.heap(bpe, unit, out) }
    }

    /// Merges by looking through all pairs for the best, again and again.
    pub(crate) fn scan(&mut self, bpe: &Bpe, unit: &str, out: &mut Vec<TokenId>) {
        self.symbols.clear();
        self.starts.clear();
        self.ranks.clear();
        self.becomes.clear();
        bpe.alphabet.spell(unit, |symbol, start, _| {
            self.symbols.push(symbol);
            self.starts.push(narrow(start));
        });
        for pair in self.symbols.windows(2) {
            let (rank, becomes) = bpe.pairs.get(pair[0], pair[1]);
            self.ranks.push(rank);
            self.becomes.push(becomes);
        }
        while let Some(best) = leftmost_lowest(&self.ranks) {
            self.symbols[best] = self.becomes[best];
            self.symbols.remove(best + 1);
            self.starts.remove(best + 1);
            self.ranks.remove(best);
            self.becomes.remove(best);
            for pair in [best.wrapping_sub(1), best] {
                if let (Some(rank), Some(&[left, right])) = (
                    self.ranks.get_mut(pair),
                    self.symbols.get(pair..pair.wrapping_add(2)).and_then(|two| two.first_chunk()),
                ) {
                    (*rank, self.becomes[pair]) = bpe.pairs.get(left, right);
                }
            }
        }
        let mut last_unknown = false;
        for (at, &symbol) in self.symbols.iter().enumerate() {
            let start = self.starts[at] as usize;
            let end = self.starts.get(at + 1).map_or(unit.len(), |&next| next as usize);
            // A byte of a byte-level alphabet may be no text of its own; its symbol is an id then.
            bpe.emit(symbol, unit.get(start..end).unwrap_or(""), &mut last_unknown, out);
        }
    }

    /// Merges with a heap of candidate pairs over a linked list.
    pub(crate) fn heap(&mut self, bpe: &Bpe, unit: &str, out: &mut Vec<TokenId>) {
        self.nodes.clear();
        self.heap.clear();
        bpe.alphabet.spell(unit, |symbol, start, end| {
            let at = narrow(self.nodes.len());
            let prev = at.checked_sub(1).unwrap_or(NOWHERE);
            let node =
                Node { symbol, start: narrow(start), len: narrow(end - start), prev, next: at + 1 };
            self.nodes.push(node);
        });
        if let Some(last) = self.nodes.last_mut() {
            last.next = NOWHERE;
        }
        let mut first: Vec<_> = (1..self.nodes.len())
            .filter_map(|right| self.candidate(bpe, narrow(right - 1)))
            .collect();
        first.sort_unstable();
        self.heap = first.into();
        while let Some(Reverse((_, place, len))) = self.heap.pop() {
            self.merge_at(bpe, place, len);
        }
        let mut last_unknown = false;
        let mut at = if self.nodes.is_empty() { NOWHERE } else { 0 };
        while let Some(node) = self.nodes.get(at as usize) {
            let (start, len) = (node.start as usize, node.len as usize);
            let spelt = unit.get(start..start + len).unwrap_or("");
            bpe.emit(node.symbol, spelt, &mut last_unknown, out);
            at = node.next;
        }
    }

    /// Merges the pair at `place`, unless one of its two has changed since it was found.
    fn merge_at(&mut self, bpe: &Bpe, place: u32, len: u32) {
        let left = self.nodes[place as usize];
        let Some(&right) = self.nodes.get(left.next as usize) else { return };
        if left.len == 0 || left.len + right.len != len {
            return;
        }
        let (rank, becomes) = bpe.pairs.get(left.symbol, right.symbol);
        if rank == NO_RANK {
            return;
        }
        self.nodes[left.next as usize].len = 0;
        let merged = &mut self.nodes[place as usize];
        merged.symbol = becomes;
        merged.len = len;
        merged.next = right.next;
        if let Some(after) = self.nodes.get_mut(right.next as usize) {
            after.prev = place;
        }
        if left.prev != NOWHERE
            && let Some(candidate) = self.candidate(bpe, left.prev)
        {
            self.heap.push(candidate);
        }
        if let Some(candidate) = self.candidate(bpe, place) {
            self.heap.push(candidate);
        }
    }

    fn candidate(&self, bpe: &Bpe, place: u32) -> Option<Reverse<(u32, u32, u32)>> {
        let left = self.nodes[place as usize];
        let right = self.nodes.get(left.next as usize)?;
        let (rank, _) = bpe.pairs.get(left.symbol, right.symbol);
        (rank != NO_RANK).then_some(Reverse((rank, place, left.len + right.len)))
    }
}

/// A place within a unit, which [`MAX_UNIT`] keeps within 32 bits.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NOWHERE)
}

fn leftmost_lowest(ranks: &[u32]) -> Option<usize> {
    let mut best = (NO_RANK, None);
    for (at, &rank) in ranks.iter().enumerate() {
        if rank < best.0 {
            best = (rank, Some(at));
        }
    }
    best.1
}

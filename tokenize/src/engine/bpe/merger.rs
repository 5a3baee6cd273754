//! Merging one unit: a scan over small arrays for short ones, a heap over a linked list for long.
//!
//! Both do the same merges in the same order; which one runs is a matter of speed alone. The scan
//! costs O(n²) with a tiny constant, the heap O(n log n) whatever the text.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ratdata_schemas::{TokenId, narrow};

use super::pairs::{NO_RANK, Symbol};
use super::vocabulary::Bpe;

/// Up to this many bytes the scan wins over the heap; one word has a bit for each.
const SCANNED: usize = 48;

/// Merges units; keeps its buffers from one to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merger {
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<Candidate>>,
    /// How many candidates were pushed.
    #[cfg(test)]
    pushed: usize,
}

/// A pair that may merge, in the order of merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    place: u32,
    /// The length of the pair when it was found.
    len: u32,
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
        if let Some(id) = bpe.whole(unit) {
            out.push(id);
            return;
        }
        if unit.len() <= SCANNED { Self::scan(bpe, unit, out) } else { self.heap(bpe, unit, out) }
    }

    /// Merges by looking through all pairs for the best, again and again.
    ///
    /// A symbol keeps its place when its right neighbour is merged into it; a bit a place says
    /// which are still there, so that neighbours are found without moving any.
    pub(crate) fn scan(bpe: &Bpe, unit: &str, out: &mut Vec<TokenId>) {
        let mut symbols = [0; SCANNED];
        let mut starts = [0; SCANNED + 1];
        let mut pairs = [(NO_RANK, 0); SCANNED];
        let mut count = 0;
        bpe.alphabet.spell(unit, |symbol, start, _| {
            symbols[count] = symbol;
            starts[count] = start;
            count += 1;
        });
        starts[count] = unit.len();
        for at in 1..count {
            pairs[at - 1] = bpe.pairs.get(symbols[at - 1], symbols[at]);
        }
        let mut alive = (1_u64 << count) - 1;
        while let Some(best) = leftmost_lowest(&pairs[..count]) {
            let right = after(alive, best);
            alive &= !(1 << right);
            symbols[best] = pairs[best].1;
            pairs[right].0 = NO_RANK;
            let next = after(alive, best);
            pairs[best] = if next < count {
                bpe.pairs.get(symbols[best], symbols[next])
            } else {
                (NO_RANK, 0)
            };
            let before = alive & ((1 << best) - 1);
            if before != 0 {
                let before = 63 - before.leading_zeros() as usize;
                pairs[before] = bpe.pairs.get(symbols[before], symbols[best]);
            }
        }
        let mut last_unknown = false;
        let mut at = 0;
        while at < count {
            let next = after(alive, at).min(count);
            // A byte of a byte-level alphabet may be no text of its own; its symbol is an id then.
            let spelt = unit.get(starts[at]..starts[next]).unwrap_or("");
            bpe.emit(symbols[at], spelt, &mut last_unknown, out);
            at = next;
        }
    }

    /// Merges with a heap of candidate pairs over a linked list.
    pub(crate) fn heap(&mut self, bpe: &Bpe, unit: &str, out: &mut Vec<TokenId>) {
        self.nodes.clear();
        self.heap.clear();
        bpe.alphabet.spell(unit, |symbol, start, end| {
            let at: u32 = narrow(self.nodes.len());
            let prev = at.checked_sub(1).unwrap_or(NOWHERE);
            let (start, len) = (narrow(start), narrow(end - start));
            self.nodes.push(Node { symbol, start, len, prev, next: at + 1 });
        });
        if let Some(last) = self.nodes.last_mut() {
            last.next = NOWHERE;
        }
        let mut first: Vec<_> = (1..self.nodes.len())
            .filter_map(|right| self.candidate(bpe, narrow(right - 1)))
            .collect();
        first.sort_unstable();
        self.heap = first.into();
        #[cfg(test)]
        (self.pushed = self.heap.len());
        while let Some(Reverse(candidate)) = self.heap.pop() {
            self.merge_at(bpe, candidate);
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
    fn merge_at(&mut self, bpe: &Bpe, candidate: Candidate) {
        let Candidate { place, len, .. } = candidate;
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
            self.push(candidate);
        }
        if let Some(candidate) = self.candidate(bpe, place) {
            self.push(candidate);
        }
    }

    fn push(&mut self, candidate: Reverse<Candidate>) {
        #[cfg(test)]
        (self.pushed += 1);
        self.heap.push(candidate);
    }

    fn candidate(&self, bpe: &Bpe, place: u32) -> Option<Reverse<Candidate>> {
        let left = self.nodes[place as usize];
        let right = self.nodes.get(left.next as usize)?;
        let (rank, _) = bpe.pairs.get(left.symbol, right.symbol);
        let candidate = Candidate { rank, place, len: left.len + right.len };
        (rank != NO_RANK).then_some(Reverse(candidate))
    }
}

/// Returns the place of the next symbol that is there after `at`; 64 or more where none is.
fn after(alive: u64, at: usize) -> usize {
    let beyond = alive >> 1 >> at;
    at + 1 + beyond.trailing_zeros() as usize
}

fn leftmost_lowest(pairs: &[(u32, Symbol)]) -> Option<usize> {
    let mut best = (NO_RANK, None);
    for (at, &(rank, _)) in pairs.iter().enumerate() {
        if rank < best.0 {
            best = (rank, Some(at));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::bpe::definition;
    use crate::engine::bpe::pairs::{Merge, PairTable};
    use crate::engine::bpe::vocabulary::{Alphabet, Fallback};

    /// A vocabulary over four letters: any two symbols may merge, into a new one or an old one.
    fn vocabulary(merges: &[(u32, u32, u32)]) -> Bpe {
        let merges: Vec<Merge> = (0..)
            .zip(merges)
            .map(|(rank, &(left, right, becomes))| Merge { left, right, rank: rank / 2, becomes })
            .collect();
        Bpe {
            alphabet: Alphabet::of_chars(['a', 'b', 'c', 'é'].into_iter().zip(0..)),
            pairs: PairTable::new(&merges),
            fallback: Fallback::Unknown { id: 19, fused: true },
            num_ids: 20,
            whole_units: None,
        }
    }

    proptest! {
        /// The scan, the heap and the definition merge alike, ties of rank and all.
        #[test]
        fn scan_and_heap_agree_with_the_definition(
            merges in proptest::collection::vec((0..9_u32, 0..9_u32, 4..9_u32), 0..30),
            unit in "[abcéx]{1,24}",
        ) {
            let bpe = vocabulary(&merges);

            let (mut scanned, mut heaped) = (Vec::new(), Vec::new());
            Merger::scan(&bpe, &unit, &mut scanned);
            Merger::default().heap(&bpe, &unit, &mut heaped);

            let expected = definition::encode(&bpe, &unit);
            prop_assert_eq!(&scanned, &expected);
            prop_assert_eq!(&heaped, &expected);
        }
    }

    /// A heap's work is its pushes, each of which takes a time that grows with the logarithm of the text.
    #[test]
    fn a_megabyte_without_a_cut_takes_as_many_steps_a_letter_as_a_short_text() {
        let bpe = vocabulary(&[(0, 0, 4), (4, 4, 5), (5, 5, 6), (6, 6, 7)]);
        for letters in [1 << 10, 1 << 16, 1 << 20] {
            let unit = "a".repeat(letters);
            let (mut merger, mut ids) = (Merger::default(), Vec::new());

            merger.encode(&bpe, &unit, &mut ids);

            assert_eq!(ids.len(), letters / 16);
            // A pair at the beginning for each letter, and up to two for each of its merges.
            assert!(merger.pushed < 3 * letters, "{} pushes for {letters} letters", merger.pushed);
        }
    }
}

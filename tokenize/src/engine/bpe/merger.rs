//! Merging one unit: a scan over small arrays for short ones, a heap over a linked list for long.
//!
//! Both do the same merges in the same order; which one runs is a matter of speed alone. The scan
//! costs O(n²) with a tiny constant, the heap O(n log n) whatever the text. `windows.rs` merges units
//! of any length in short windows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ratdata_schemas::narrow;

use super::pairs::{NO_RANK, Symbol};
use super::repeats::Repeats;
use super::segment::{Parts, SCANNED, Segment};
use super::vocabulary::Bpe;
use super::windows::Windows;
use crate::bounds::limits::LONGEST_PIECE;
use crate::engine::id_width::IdWidth;
use crate::engine::mask;
use crate::engine::simd::{Kernel, Level, run};

/// How many bits a place in a scanned unit has.
const PLACE_BITS: u32 = SCANNED.trailing_zeros();

/// Lanes that are looked through together: the compiler makes vector instructions of them.
const LANES: usize = 16;

/// Ranks below this are scanned for; no vocabulary has as many merges.
const MOST_RANKS: u32 = 1 << (u32::BITS - PLACE_BITS);

/// Merges units; keeps its buffers from one to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merger {
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<Candidate>>,
    windows: Windows,
    repeats: Repeats,
    /// How many candidates were pushed.
    #[cfg(test)]
    pub(super) pushed: usize,
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
    pub(crate) fn encode<W: IdWidth>(
        &mut self,
        level: Level,
        bpe: &Bpe,
        unit: &str,
        out: &mut Vec<W>,
    ) {
        let whole = (unit.len() <= LONGEST_PIECE).then(|| bpe.whole(unit)).flatten();
        if let Some(id) = whole {
            out.push(W::of(id));
            return;
        }
        let before = out.len();
        let mut last_unknown = false;
        let mut emit = |Segment { symbol, start, end }| {
            // A byte of a byte-level alphabet may be no text of its own; its symbol is an id then.
            let spelt = unit.get(start..end).unwrap_or("");
            bpe.emit(symbol, spelt, &mut last_unknown, out);
        };
        if unit.len() <= SCANNED && bpe.pairs.most_rank() < MOST_RANKS {
            Scan::of(level, bpe, unit, (0, unit.len())).segments(emit);
            return;
        }
        let mut windows = std::mem::take(&mut self.windows);
        let merged = windows.merge(&mut WindowedUnit { merger: self, level, bpe, unit }, &mut emit);
        self.windows = windows;
        if merged.is_err() {
            out.truncate(before);
            self.heap(bpe, unit, out);
        }
    }

    /// Appends the ids of `unit` by one heap over all of it.
    pub(crate) fn heap<W: IdWidth>(&mut self, bpe: &Bpe, unit: &str, out: &mut Vec<W>) {
        let mut segments = Vec::new();
        self.merge_range(bpe, unit, (0, unit.len()), &mut segments);
        let mut last_unknown = false;
        for Segment { symbol, start, end } in segments {
            bpe.emit(symbol, unit.get(start..end).unwrap_or(""), &mut last_unknown, out);
        }
    }

    /// Merges with a heap of candidate pairs over a linked list.
    fn merge_range(&mut self, bpe: &Bpe, unit: &str, part: (usize, usize), out: &mut Vec<Segment>) {
        self.nodes.clear();
        self.heap.clear();
        bpe.alphabet.spell_part(unit, part, |symbol, start, end| {
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
        #[cfg(test)]
        (self.pushed += first.len());
        self.heap = first.into();
        while let Some(Reverse(candidate)) = self.heap.pop() {
            self.merge_at(bpe, candidate);
        }
        let mut at = if self.nodes.is_empty() { NOWHERE } else { 0 };
        while let Some(node) = self.nodes.get(at as usize) {
            let (start, len) = (node.start as usize, node.len as usize);
            out.push(Segment { symbol: node.symbol, start, end: start + len });
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

/// A unit that is merged part by part.
struct WindowedUnit<'a> {
    merger: &'a mut Merger,
    level: Level,
    bpe: &'a Bpe,
    unit: &'a str,
}

impl Parts for WindowedUnit<'_> {
    fn len(&self) -> usize {
        self.unit.len()
    }

    fn end_of(&self, at: usize) -> usize {
        let at = at.min(self.unit.len());
        if self.bpe.alphabet.is_bytes() { at } else { self.unit.floor_char_boundary(at) }
    }

    fn merge(&mut self, (from, to): (usize, usize), out: &mut Vec<Segment>) {
        out.clear();
        let Self { merger, level, bpe, unit } = self;
        if merger.repeats.merge(bpe, unit, (from, to), out) {
            return;
        }
        if to - from <= SCANNED && bpe.pairs.most_rank() < MOST_RANKS {
            Scan::of(*level, bpe, unit, (from, to)).segments(|segment| out.push(segment));
        } else {
            merger.merge_range(bpe, unit, (from, to), out);
        }
    }
}

/// A short text, merged by looking through all pairs for the best, again and again.
///
/// A symbol keeps its place when its right neighbour is merged into it; a bit a place says
/// which are still there, so that neighbours are found without moving any.
struct Scan {
    symbols: [Symbol; SCANNED],
    starts: [u32; SCANNED + 1],
    alive: u64,
    count: usize,
}

/// A pair that does not merge.
const NO_PAIR: u32 = u32::MAX;

impl Scan {
    /// Merges a part of a unit of up to [`SCANNED`] bytes.
    fn of(level: Level, bpe: &Bpe, unit: &str, part: (usize, usize)) -> Self {
        let mut scan = Self { symbols: [0; SCANNED], starts: [0; SCANNED + 1], alive: 0, count: 0 };
        bpe.alphabet.spell_part(unit, part, |symbol, start, _| {
            scan.symbols[scan.count] = symbol;
            scan.starts[scan.count] = narrow(start);
            scan.count += 1;
        });
        scan.starts[scan.count] = narrow(part.1);
        scan.alive = mask::first(scan.count);
        run(level, Merging { scan: &mut scan, bpe });
        scan
    }

    /// Calls `each` for every segment that is left.
    fn segments(&self, mut each: impl FnMut(Segment)) {
        let mut at = 0;
        while at < self.count {
            let next = after(self.alive, at).min(self.count);
            let (start, end) = (self.starts[at] as usize, self.starts[next] as usize);
            each(Segment { symbol: self.symbols[at], start, end });
            at = next;
        }
    }
}

/// The work on a scan.
struct Merging<'a> {
    scan: &'a mut Scan,
    bpe: &'a Bpe,
}

impl Kernel for Merging<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn run(self) {
        let Self { scan: Scan { symbols, alive, count, .. }, bpe } = self;
        // A pair's rank and place in one number: the least is the lowest rank, the leftmost among equals.
        let mut pairs = [NO_PAIR; SCANNED];
        let mut becomes = [0; SCANNED];
        for at in 1..*count {
            (pairs[at - 1], becomes[at - 1]) = pair_at(bpe, symbols[at - 1], symbols[at], at - 1);
        }
        let lanes = count.div_ceil(LANES);
        loop {
            let best = least(&pairs, lanes);
            if best == NO_PAIR {
                break;
            }
            let best = best as usize % SCANNED;
            let right = after(*alive, best);
            *alive &= !(1 << right);
            symbols[best] = becomes[best];
            pairs[right] = NO_PAIR;
            let next = after(*alive, best);
            (pairs[best], becomes[best]) = if next < *count {
                pair_at(bpe, symbols[best], symbols[next], best)
            } else {
                (NO_PAIR, 0)
            };
            let before = *alive & ((1 << best) - 1);
            if before != 0 {
                let before = 63 - before.leading_zeros() as usize;
                (pairs[before], becomes[before]) =
                    pair_at(bpe, symbols[before], symbols[best], before);
            }
        }
    }
}

/// Returns the number of a pair, and what it becomes.
#[inline]
fn pair_at(bpe: &Bpe, left: Symbol, right: Symbol, place: usize) -> (u32, Symbol) {
    let (rank, becomes) = bpe.pairs.get(left, right);
    // Ranks are below `MOST_RANKS`, so a pair's number is below `NO_PAIR`, and only `NO_RANK` gives that.
    let number =
        if rank == NO_RANK { NO_PAIR } else { rank << PLACE_BITS | narrow::<_, u32>(place) };
    (number, becomes)
}

/// Returns the least of the first numbers, so many times [`LANES`] of them.
#[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
#[inline(always)]
fn least(numbers: &[u32; SCANNED], lanes: usize) -> u32 {
    let mut least = [NO_PAIR; LANES];
    for row in numbers.as_chunks::<LANES>().0.iter().take(lanes) {
        for (least, number) in least.iter_mut().zip(row) {
            *least = (*least).min(*number);
        }
    }
    least.into_iter().fold(NO_PAIR, u32::min)
}

/// Returns the place of the next symbol that is there after `at`; 64 or more where none is.
fn after(alive: u64, at: usize) -> usize {
    let beyond = alive >> 1 >> at;
    at + 1 + beyond.trailing_zeros() as usize
}

#[cfg(test)]
mod tests;

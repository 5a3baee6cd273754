//! Merging a text in which few symbols are repeated many times, such as spaces.
//!
//! Such a text is kept as *repeats*: a symbol and how often it comes. A pair within a repeat merges everywhere in it at
//! once, so a thousand spaces take ten steps.
//!
//! # Why this is exact
//!
//! Merging takes the pair of the lowest rank, and the leftmost among equals. If that pair is `(s, s)` within a repeat
//! of `s`, the next pair to merge is again the leftmost `(s, s)` of this repeat, unless a new pair that the last merge
//! has made comes before it. With `t` as what the pair becomes, the new pairs are `t` with the symbol before the
//! repeat, `t` with `t`, and `t` with `s`. They stand before the next `(s, s)`, so they come first if their rank is
//! the same or lower. Where none of them has such a rank, the whole repeat merges from left to right. Where one has,
//! or where a text takes too many steps, the text is left to the heap.

use super::pairs::{NO_RANK, Symbol};
use super::segment::Segment;
use super::vocabulary::Bpe;

/// How many symbols come in a text for each repeat, at least: with fewer, the heap is as fast.
const WORTHWHILE: usize = 16;

/// How many steps a text may take, for each of its repeats and for the whole of it.
const STEPS: usize = 32;

/// A symbol that comes so often in a row.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    symbol: Symbol,
    count: usize,
    /// How many bytes each of them has.
    bytes: usize,
}

/// The first pair to merge.
#[derive(Clone, Copy, Debug)]
struct First {
    rank: u32,
    becomes: Symbol,
    /// The repeat of its left symbol.
    at: usize,
    /// Whether the right symbol is in the same repeat.
    within: bool,
}

/// The buffer of a text's repeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    repeats: Vec<Repeat>,
}

impl Repeats {
    /// Finds the segments that merging makes of a part of a unit; returns whether it could.
    pub(super) fn merge(
        &mut self,
        bpe: &Bpe,
        unit: &str,
        part: (usize, usize),
        out: &mut Vec<Segment>,
    ) -> bool {
        let most = (part.1 - part.0) / WORTHWHILE;
        self.repeats.clear();
        let repeats = &mut self.repeats;
        bpe.alphabet.spell_part(unit, part, |symbol, start, end| {
            if repeats.len() <= most {
                append(repeats, Repeat { symbol, count: 1, bytes: end - start });
            }
        });
        if self.repeats.len() > most {
            return false;
        }
        for _ in 0..STEPS * (self.repeats.len() + 1) {
            let Some(first) = self.first(bpe) else {
                self.segments(part.0, out);
                return true;
            };
            if first.within {
                if !self.merge_within(bpe, first) {
                    return false;
                }
            } else {
                self.merge_across(first);
            }
        }
        false
    }

    /// Finds the pair of the lowest rank, the leftmost among equals.
    fn first(&self, bpe: &Bpe) -> Option<First> {
        let mut first: Option<First> = None;
        let mut offer = |left: Symbol, right: Symbol, at, within| {
            let (rank, becomes) = bpe.pairs.get(left, right);
            if rank != NO_RANK && first.is_none_or(|first| rank < first.rank) {
                first = Some(First { rank, becomes, at, within });
            }
        };
        for (at, repeat) in self.repeats.iter().enumerate() {
            if repeat.count > 1 {
                offer(repeat.symbol, repeat.symbol, at, true);
            }
            if let Some(next) = self.repeats.get(at + 1) {
                offer(repeat.symbol, next.symbol, at, false);
            }
        }
        first
    }

    /// Merges all pairs within a repeat; returns whether they all come next.
    fn merge_within(&mut self, bpe: &Bpe, First { rank, becomes, at, .. }: First) -> bool {
        let Repeat { symbol, count, bytes } = self.repeats[at];
        let later = |left, right| bpe.pairs.get(left, right).0 > rank;
        let before = at.checked_sub(1).map(|before| self.repeats[before].symbol);
        let all_come_next = before.is_none_or(|before| later(before, becomes))
            && later(becomes, becomes)
            && later(becomes, symbol);
        if count > 3 && !all_come_next {
            return false;
        }
        if count <= 3 {
            self.take_pair(at, becomes);
            return true;
        }
        let merged = Repeat { symbol: becomes, count: count / 2, bytes: 2 * bytes };
        let rest = Repeat { symbol, count: count % 2, bytes };
        self.replace(at, at + 1, &[merged, rest]);
        true
    }

    /// Merges the first two symbols of a repeat.
    fn take_pair(&mut self, at: usize, becomes: Symbol) {
        let Repeat { symbol, count, bytes } = self.repeats[at];
        let merged = Repeat { symbol: becomes, count: 1, bytes: 2 * bytes };
        self.replace(at, at + 1, &[merged, Repeat { symbol, count: count - 2, bytes }]);
    }

    /// Merges the last symbol of a repeat with the first one of the next.
    fn merge_across(&mut self, First { becomes, at, .. }: First) {
        let (left, right) = (self.repeats[at], self.repeats[at + 1]);
        let merged = Repeat { symbol: becomes, count: 1, bytes: left.bytes + right.bytes };
        let less = |repeat: Repeat| Repeat { count: repeat.count - 1, ..repeat };
        self.replace(at, at + 2, &[less(left), merged, less(right)]);
    }

    /// Puts repeats in the place of others, and joins those of one symbol.
    fn replace(&mut self, from: usize, to: usize, new: &[Repeat]) {
        let after = self.repeats.split_off(to);
        self.repeats.truncate(from);
        for &repeat in new.iter().chain(&after) {
            append(&mut self.repeats, repeat);
        }
    }

    /// Appends a segment for each symbol.
    fn segments(&self, mut start: usize, out: &mut Vec<Segment>) {
        for &Repeat { symbol, count, bytes } in &self.repeats {
            for _ in 0..count {
                out.push(Segment { symbol, start, end: start + bytes });
                start += bytes;
            }
        }
    }
}

/// Appends a repeat, to the last one where it has the same symbol and length.
fn append(repeats: &mut Vec<Repeat>, new: Repeat) {
    match repeats.last_mut() {
        _ if new.count == 0 => {}
        Some(last) if (last.symbol, last.bytes) == (new.symbol, new.bytes) => {
            last.count += new.count;
        }
        _ => repeats.push(new),
    }
}

//! Merging long units in short windows, so that time a byte and memory do not depend on a unit's length.
//!
//! # Why windows are exact
//!
//! *Definition.* A *segment* is a part of a text with the symbol that merging makes of it. Two neighbouring segments
//! *stand* if merging the text of both makes these two.
//!
//! *Lemma.* Segments that cover a text are what merging makes of it if and only if all neighbours stand. For as long
//! as no merge crosses a place between segments, the merges within a segment are those of its text alone, in the same
//! order. The first merge that crossed a place would be of a symbol at the end of one segment and one at the
//! beginning of the next; merging these two alone would do it as well, and they would not stand. The other direction
//! is the same argument.
//!
//! *Corollary.* All neighbours within what merging makes of a window stand. So if two windows that overlap have a
//! segment in common, at the same place and of the same symbol, then the first one's segments up to it, and the
//! second one's from it on, are what merging makes of both together.
//!
//! A window that begins where a segment of the one before does mostly agrees with it at once. Where they have no
//! segment in common, larger windows are taken, at last from the first segment that was not given out. Such a window
//! counts whole where its first segment and the last one given out stand, which merging the two tells. If none does
//! up to the end of the unit, what was given out is wrong, and the unit is merged as a whole.

use super::segment::{Parts, SCANNED, Segment};

/// What merging the rest of a unit disagrees with was given out.
#[derive(Debug)]
pub(super) struct Disagrees;

/// By how much a window grows where two have no segment in common.
const GROWTH: usize = 4;

/// The buffers of windows.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    this: Vec<Segment>,
    next: Vec<Segment>,
    pair: Vec<Segment>,
    /// How many bytes all windows had together.
    #[cfg(test)]
    pub(super) merged: usize,
}

impl Windows {
    /// Calls `each` for every segment that merging makes of a unit.
    ///
    /// # Errors
    ///
    /// Some of them were wrong.
    pub(super) fn merge(
        &mut self,
        unit: &mut impl Parts,
        mut each: impl FnMut(Segment),
    ) -> Result<(), Disagrees> {
        let len = unit.len();
        let mut to = unit.end_of(SCANNED);
        unit.merge((0, to), &mut self.this);
        #[cfg(test)]
        (self.merged += to);
        // The first of this window's segments that was not given out, and the one before it.
        let (mut first, mut given) = (0, None);
        let mut size = SCANNED;
        while to < len {
            // The last segment that leaves enough in common.
            let room = to - (size / GROWTH).min(to);
            let at = self.this.partition_point(|segment| segment.start <= room);
            let at = at.saturating_sub(1).max(first);
            let from = self.this[at].start;
            let end = unit.end_of(from + size);
            if end < len && end < to + size / GROWTH {
                size *= GROWTH;
                continue;
            }
            unit.merge((from, end), &mut self.next);
            #[cfg(test)]
            (self.merged += end - from);
            let (common, in_next) = match in_common(&self.this, at, &self.next) {
                Some(common) => common,
                None if at == first && self.stands(unit, given) => (first, 0),
                None if at == first && end == len => return Err(Disagrees),
                None => {
                    size *= GROWTH;
                    continue;
                }
            };
            self.this[first..common].iter().copied().for_each(&mut each);
            given = self.this[first..common].last().copied().or(given);
            std::mem::swap(&mut self.this, &mut self.next);
            (first, to) = (in_next, end);
            size = (size / GROWTH).max(SCANNED);
        }
        self.this[first..].iter().copied().for_each(&mut each);
        Ok(())
    }
}

impl Windows {
    /// Returns whether the last segment that was given out and the first of the next window stand.
    fn stands(&mut self, unit: &mut impl Parts, given: Option<Segment>) -> bool {
        let Some((given, next)) = given.zip(self.next.first().copied()) else { return true };
        unit.merge((given.start, next.end), &mut self.pair);
        self.pair == [given, next]
    }
}

/// Finds the first segment that two windows have in common, from a place in the first one on.
fn in_common(this: &[Segment], from: usize, next: &[Segment]) -> Option<(usize, usize)> {
    let (mut one, mut other) = (from, 0);
    while one < this.len() && other < next.len() {
        let (left, right) = (this[one], next[other]);
        if left == right {
            return Some((one, other));
        }
        one += usize::from(left.end <= right.end);
        other += usize::from(right.end <= left.end);
    }
    None
}

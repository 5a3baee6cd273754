//! What merging a part of a unit gives.

use super::pairs::Symbol;

/// Up to this many bytes a scan wins over a heap; one word has a bit for each.
pub(super) const SCANNED: usize = 64;

/// A part of a unit, and the symbol that merging makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) symbol: Symbol,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A unit that can be merged part by part.
pub(super) trait Parts {
    /// Returns how many bytes the unit has.
    fn len(&self) -> usize;
    /// Returns where a part ends that would end at `at`: between two symbols.
    fn end_of(&self, at: usize) -> usize;
    /// Finds the segments that merging makes of a part of the unit.
    fn merge(&mut self, part: (usize, usize), out: &mut Vec<Segment>);
}

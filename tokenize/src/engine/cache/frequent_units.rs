//! A small per-thread copy of the most frequent units and their ids.
//!
//! The shared table is far larger than a core's own cache and than what its address translation
//! reaches. Text is so uneven that half a megabyte holds most of the units that come. This table also
//! follows the text, which the shared table does not do once it is full.

use ratdata_schemas::narrow;

use super::shared_units::{UnitIds, Value};
use super::unit_key::UnitKey;
use crate::engine::simd::{Lanes, Level, Line, look_up_four};

/// How many lines there are for units up to 8 bytes, and again for those up to 16.
const LINES: usize = 1 << 12;

/// Units and their ids, in lines laid out as those of the shared table. A new unit replaces any other
/// of its line.
#[derive(Clone, Debug)]
pub(crate) struct FrequentUnits {
    lines: Vec<Line>,
    turn: usize,
}

impl Default for FrequentUnits {
    fn default() -> Self {
        Self { lines: vec![Line::default(); 2 * LINES], turn: 0 }
    }
}

impl FrequentUnits {
    /// Returns the line that a unit belongs to.
    #[inline]
    pub(crate) fn place(key: UnitKey) -> u64 {
        let line = key.hash() >> (64 - LINES.trailing_zeros());
        line + if key.is_short() { 0 } else { LINES as u64 }
    }

    /// Finds the ids of the first units, each of up to 8 bytes, by the lower halves of their keys. The result for
    /// longer units has no meaning.
    #[inline]
    pub(crate) fn short(
        &self,
        level: Level,
        count: usize,
        places: &Lanes,
        low: &Lanes,
        first: &mut Lanes,
    ) {
        look_up_four(level, &self.lines, (&places[..count], &low[..count]), &mut first[..count]);
    }

    /// Returns the ids of a unit of 9 to 16 bytes.
    #[inline]
    pub(crate) fn middle(&self, place: u64, key: UnitKey) -> UnitIds {
        let line = self.line(place);
        let met = |way: usize| line[way] == key.low && line[2 + way] == key.high;
        let (way, known) = (usize::from(met(1)), met(0) || met(1));
        let value = |at: usize| Value::from_bits(line[at + way] & u64::from(known).wrapping_neg());
        UnitIds { first: value(4), second: value(6) }
    }

    #[inline]
    fn line(&self, place: u64) -> &[u64; 8] {
        &self.lines[narrow::<_, usize>(place)].0
    }

    /// Keeps a unit that is not here.
    #[inline]
    pub(crate) fn keep(&mut self, place: u64, key: UnitKey, ids: UnitIds) {
        let UnitIds { first, second } = ids;
        let line = &mut self.lines[narrow::<_, usize>(place)].0;
        self.turn = self.turn.wrapping_add(1);
        if key.is_short() {
            let way = self.turn % 4;
            (line[way], line[4 + way]) = (key.low, first.bits());
        } else {
            let way = self.turn % 2;
            (line[way], line[2 + way]) = (key.low, key.high);
            (line[4 + way], line[6 + way]) = (first.bits(), second.bits());
        }
    }

    /// Returns how much memory the table takes, in bytes.
    pub(crate) fn memory() -> usize {
        2 * LINES * size_of::<Line>()
    }
}

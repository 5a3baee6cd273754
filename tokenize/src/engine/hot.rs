//! The units that one thread meets most, close by: a small copy of what the shared table and the
//! thread's own long cache know.
//!
//! The shared table is far larger than a core's own cache and than what its address translation
//! reaches, and text is so uneven that a table of half a megabyte holds most of what comes. It also
//! follows the text, which the shared table does not once it is full.

use super::key::Key;
use super::scan::{Lanes, Level, Line, look_up_four};
use super::table::Value;

/// As many lines for units up to 8 bytes, and again as many for those up to 16.
const LINES: usize = 1 << 12;

/// Units and their ids, in lines laid out as those of the shared table; a new one takes the place of
/// any other of its line.
#[derive(Clone, Debug)]
pub(crate) struct HotUnits {
    lines: Vec<Line>,
    turn: usize,
}

impl Default for HotUnits {
    fn default() -> Self {
        Self { lines: vec![Line::default(); 2 * LINES], turn: 0 }
    }
}

impl HotUnits {
    /// Returns the line that a unit belongs to.
    #[inline]
    pub(crate) fn place(key: Key) -> u64 {
        let line = key.hash() >> (64 - LINES.trailing_zeros());
        line + if key.is_short() { 0 } else { LINES as u64 }
    }

    /// Finds the ids of all units of up to 8 bytes, by the lower halves of their keys; for others,
    /// what it finds is nothing to go by.
    #[inline]
    pub(crate) fn short(&self, level: Level, places: &Lanes, low: &Lanes, first: &mut Lanes) {
        look_up_four(level, &self.lines, places, low, first);
    }

    /// Returns the ids of a unit of 9 to 16 bytes: the first three and the others.
    #[inline]
    pub(crate) fn middle(&self, place: u64, key: Key) -> (Value, Value) {
        let line = self.line(place);
        let met = |way: usize| line[way] == key.low && line[2 + way] == key.high;
        let (way, known) = (usize::from(met(1)), met(0) || met(1));
        let value = |at: usize| Value::from_bits(line[at + way] & u64::from(known).wrapping_neg());
        (value(4), value(6))
    }

    #[inline]
    fn line(&self, place: u64) -> &[u64; 8] {
        &self.lines[usize::try_from(place).unwrap_or(0)].0
    }

    /// Takes in a unit that is not here.
    #[inline]
    pub(crate) fn keep(&mut self, place: u64, key: Key, (first, second): (Value, Value)) {
        let line = &mut self.lines[usize::try_from(place).unwrap_or(0)].0;
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

//! The ids of units that one thread has met, in two bounded tables: short units in lines of the nearest caches,
//! and longer ones, or those with more ids, by their bytes.
//!
//! Units are looked up in batches: the lines of a batch are fetched from memory while their keys are made.

use crate::engine::id_width::IdWidth;
use crate::engine::{LongHash, LongUnits, prefetch};

/// Units up to this many bytes are short: their bytes and their length are one number.
const SHORT: usize = 15;

/// How many ids a short unit may have.
const IDS: usize = 4;

/// How many units are looked up together.
pub(super) const BATCH: usize = 32;

/// Fills up the ids of a short unit. No vocabulary has so many ids.
const NO_ID: u32 = u32::MAX;

/// The first id of a short unit that has more ids: they are among those of the long ones.
const IS_LONG: u32 = u32::MAX - 1;

/// Lines of two short units each: 8 MB.
const LINES: usize = 1 << 17;

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u128, // 0 where it is empty
    ids: [u32; IDS],
}

const EMPTY: Slot = Slot { key: 0, ids: [NO_ID; IDS] };

/// Two units, in one line of the processor's caches.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([Slot; 2]);

/// The bytes and the length of a short unit as one number; 0 for every longer unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key(u128);

/// What the table of short units has of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// Its ids, and after them [`NO_ID`]s.
    Ids(&'a [u32; IDS]),
    /// It may be among the long ones.
    Long,
    /// It is unknown.
    Nothing,
}

/// The tables.
#[derive(Clone, Debug)]
pub(super) struct Units {
    lines: Vec<Line>,
    long: LongUnits,
}

impl Default for Units {
    fn default() -> Self {
        Self { lines: vec![Line([EMPTY; 2]); LINES], long: LongUnits::default() }
    }
}

impl Units {
    /// Returns the key of the unit `bytes[start..end]`, and begins to fetch its line. `is_marked` tells two units of
    /// the same bytes apart.
    #[inline]
    pub(super) fn key(&self, bytes: &[u8], start: usize, end: usize, is_marked: bool) -> Key {
        let key = key_of(bytes, start, end, is_marked);
        prefetch(&self.lines[line_of(key.0)]);
        key
    }

    /// Returns what the table of short units has of a unit.
    #[inline]
    pub(super) fn get(&self, key: Key) -> Found<'_> {
        if key.0 == 0 {
            return Found::Long;
        }
        let [first, second] = &self.lines[line_of(key.0)].0;
        let slot = if first.key == key.0 { first } else { second };
        if slot.key != key.0 {
            return Found::Nothing;
        }
        if slot.ids[0] == IS_LONG { Found::Long } else { Found::Ids(&slot.ids) }
    }

    /// Returns the ids of a unit that is among the long ones.
    pub(super) fn long(&self, unit: &[u8]) -> Option<&[u32]> {
        self.long.get(unit, LongHash::of(unit))
    }

    /// Remembers the ids of a unit, which stands for the bytes of `unit`.
    ///
    /// In a line that is full, the unit that came first stays, since in any text the frequent ones come early; the
    /// other one makes room. Long units are emptied when they are full.
    pub(super) fn insert(&mut self, key: Key, unit: &[u8], ids: &[u32]) {
        let is_short = key.0 != 0;
        if is_short {
            let mut kept = [NO_ID; IDS];
            match kept.get_mut(..ids.len()) {
                Some(kept) => kept.copy_from_slice(ids),
                None => kept[0] = IS_LONG,
            }
            let [first, second] = &mut self.lines[line_of(key.0)].0;
            let slot = if first.key == 0 || first.key == key.0 { first } else { second };
            *slot = Slot { key: key.0, ids: kept };
        }
        if (!is_short || ids.len() > IDS) && self.long(unit).is_none() {
            self.long.insert(unit, LongHash::of(unit), ids);
        }
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory() -> usize {
        LINES * size_of::<Line>() + LongUnits::memory()
    }
}

/// Appends the ids of a short unit.
///
/// All are written, and those that are none are cut off: how many there are would be a branch that nothing foretells.
#[inline]
pub(super) fn append<W: IdWidth>(ids: &[u32; IDS], out: &mut Vec<W>) {
    let len = out.len() + ids.iter().map(|&id| usize::from(id != NO_ID)).sum::<usize>();
    out.extend_from_slice(&ids.map(W::of));
    out.truncate(len);
}

#[inline]
fn key_of(bytes: &[u8], start: usize, end: usize, is_marked: bool) -> Key {
    let len = end - start;
    if len > SHORT || len == 0 {
        return Key(0);
    }
    let rest = &bytes[start..];
    let word = rest.first_chunk::<16>().map_or_else(|| padded(rest), |word| *word);
    let kept = u128::from_le_bytes(word) & (u128::MAX >> (128 - 8 * len));
    Key(kept | (len as u128) << 120 | u128::from(is_marked) << 127)
}

/// Reads the last bytes of a text, with zeros after them.
#[cold]
fn padded(bytes: &[u8]) -> [u8; 16] {
    let mut word = [0; 16];
    let len = bytes.len().min(16);
    word[..len].copy_from_slice(&bytes[..len]);
    word
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a number, and its upper bits")]
fn line_of(key: u128) -> usize {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let mixed = u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xc2b2_ae3d_27d4_eb4f);
    let folded = (mixed as u64) ^ ((mixed >> 64) as u64);
    (folded >> (64 - LINES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(units: &Units, bytes: &[u8], (start, end): (usize, usize), is_marked: bool) -> Vec<u32> {
        let mut out: Vec<u32> = vec![7];
        match units.get(units.key(bytes, start, end, is_marked)) {
            Found::Ids(ids) => append(ids, &mut out),
            Found::Long => out.extend(units.long(&bytes[start..end]).into_iter().flatten()),
            Found::Nothing => {}
        }
        out.split_off(1)
    }

    #[test]
    fn units_that_differ_by_zeros_length_or_mark_are_told_apart() {
        let mut units = Units::default();
        let text = b"aa\0\0\0bcdefghijklmnopqrstuvwxyz";
        let places =
            [(0, 1), (0, 2), (0, 3), (0, 5), (2, 3), (2, 4), (3, 9), (3, 18), (3, 19), (5, 30)];
        for (id, (start, end)) in (1..).zip(places) {
            units.insert(units.key(text, start, end, false), &text[start..end], &[id]);
        }
        units.insert(units.key(text, 6, 7, false), &text[6..7], &[7; 9]);
        units.insert(units.key(text, 0, 1, true), &text[..1], &[90, 91]);

        for (id, place) in (1..).zip(places) {
            assert_eq!(ids(&units, text, place, false), [id]);
        }
        assert_eq!(ids(&units, text, (6, 7), false), [7; 9]);
        assert_eq!(ids(&units, text, (0, 1), true), [90, 91]);
        assert!(ids(&units, text, (5, 6), false).is_empty());
    }

    #[test]
    fn what_is_found_is_what_was_put_in_also_when_lines_are_full() {
        let mut units = Units::default();
        for number in 0..600_000_u32 {
            let unit = format!("{number:x}");
            units.insert(
                units.key(unit.as_bytes(), 0, unit.len(), false),
                unit.as_bytes(),
                &[number; 3],
            );
        }
        let mut known = 0;
        for number in 0..600_000_u32 {
            let unit = format!("{number:x}");
            let found = ids(&units, unit.as_bytes(), (0, unit.len()), false);
            known += usize::from(!found.is_empty());
            assert!(found.is_empty() || found == [number; 3], "{unit}: {found:?}");
        }
        assert!(known > LINES, "{known}");
    }
}

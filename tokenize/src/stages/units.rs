//! The ids of units that one thread has met, in two bounded tables: short units in lines of the nearest caches,
//! and longer ones, or those with more ids, by their bytes.

use crate::engine::{LongHash, LongUnits};

/// Units up to this many bytes are short: their bytes and their length are one number.
const SHORT: usize = 15;

/// How many ids a short unit may have.
const IDS: usize = 4;

/// Fills up the ids of a short unit. No vocabulary has so many ids.
const NO_ID: u32 = u32::MAX;

/// Lines of two short units each: 2 MB.
const LINES: usize = 1 << 15;

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u128, // 0 where it is empty
    ids: [u32; IDS],
}

const EMPTY: Slot = Slot { key: 0, ids: [NO_ID; IDS] };

/// The tables.
#[derive(Clone, Debug)]
pub(super) struct Units {
    lines: Vec<[Slot; 2]>,
    long: LongUnits,
}

impl Default for Units {
    fn default() -> Self {
        Self { lines: vec![[EMPTY; 2]; LINES], long: LongUnits::default() }
    }
}

impl Units {
    /// Returns the ids of the unit `bytes[start..end]`, where it is known.
    #[inline]
    pub(super) fn get(&self, bytes: &[u8], start: usize, end: usize) -> Option<&[u32]> {
        if let Some(key) = key_of(bytes, start, end) {
            let line = &self.lines[line_of(key)];
            let slot = line.iter().find(|slot| slot.key == key);
            if let Some(slot) = slot {
                let len = slot.ids.iter().position(|&id| id == NO_ID).unwrap_or(IDS);
                return Some(&slot.ids[..len]);
            }
        }
        let unit = &bytes[start..end];
        self.long.get(unit, LongHash::of(unit))
    }

    /// Remembers the ids of a unit.
    ///
    /// A line that is full takes no more, so the units that came first stay, which in any text are mostly the
    /// frequent ones; later ones go to the long units, which are emptied when they are full.
    pub(super) fn insert(&mut self, bytes: &[u8], start: usize, end: usize, ids: &[u32]) {
        if let Some(key) = key_of(bytes, start, end).filter(|_| ids.len() <= IDS) {
            let line = &mut self.lines[line_of(key)];
            if let Some(slot) = line.iter_mut().find(|slot| slot.key == 0) {
                slot.key = key;
                slot.ids[..ids.len()].copy_from_slice(ids);
                return;
            }
        }
        let unit = &bytes[start..end];
        self.long.insert(unit, LongHash::of(unit), ids);
    }

    /// Returns how much memory the tables take, in bytes.
    pub(super) fn memory() -> usize {
        LINES * size_of::<[Slot; 2]>() + LongUnits::memory()
    }
}

/// Returns the bytes and the length of a short unit as one number, which is not zero.
#[inline]
fn key_of(bytes: &[u8], start: usize, end: usize) -> Option<u128> {
    let len = end - start;
    if len > SHORT || len == 0 {
        return None;
    }
    let rest = &bytes[start..];
    let word = rest.first_chunk::<16>().map_or_else(|| padded(rest), |word| *word);
    let kept = u128::from_le_bytes(word) & (u128::MAX >> (128 - 8 * len));
    Some(kept | (len as u128) << 120)
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

    #[test]
    fn units_that_differ_by_zeros_or_length_are_told_apart() {
        let mut units = Units::default();
        let text = b"aa\0\0\0bcdefghijklmnopqrstuvwxyz";
        let places =
            [(0, 1), (0, 2), (0, 3), (0, 5), (2, 3), (2, 4), (3, 9), (3, 18), (3, 19), (5, 30)];
        for (id, (start, end)) in (1..).zip(places) {
            units.insert(text, start, end, &[id]);
        }
        units.insert(text, 6, 7, &[7; 9]);

        for (id, (start, end)) in (1..).zip(places) {
            assert_eq!(units.get(text, start, end), Some(&[id][..]));
        }
        assert_eq!(units.get(text, 6, 7), Some(&[7; 9][..]));
        assert_eq!(units.get(text, 5, 6), None);
    }
}

//! The table of long units, and of those with many ids, shared by all threads.
//!
//! # Why readers need no lock
//!
//! *Definition.* A thread that keeps a unit takes words of the *arena* that no other thread gets, writes the unit's
//! *record* there, and *publishes* it: it writes the record's place into an empty slot, by a compare-and-swap that
//! releases.
//!
//! *Corollary.* A slot is written once, and a reader that finds a place acquires what was written before. So it reads
//! a whole record, and compares all of its bytes with those of its unit.
//!
//! Two threads may keep the same unit at once; the second record is then never found. A full table takes nothing
//! more, and each thread keeps further units for itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ratdata_schemas::{TokenId, narrow};

use super::unit_key::UnitKey;
use crate::engine::simd::prefetch;

/// Units longer than this are merged every time: they hardly ever come again.
pub(crate) const LONGEST_LONG: usize = 192;

/// Slots: 4 MB.
const SLOTS: usize = 1 << 19;

/// How many slots are filled at most.
const MOST_FILLED: usize = SLOTS / 8 * 5;

/// Words of records: 32 MB, of which pages that were never written take no memory.
const WORDS: usize = 1 << 22;

/// The upper half of a slot has a part of the hash, the lower one the place of a record.
const PLACE_BITS: u32 = 32;

/// Units of up to [`LONGEST_LONG`] bytes and their ids.
///
/// A record's first word has the number of bytes and, above, the number of ids. The bytes follow, padded with zeros,
/// then the ids, two a word.
#[derive(Debug)]
pub(crate) struct SharedLongUnits {
    slots: Vec<AtomicU64>,
    words: Vec<AtomicU64>,
    /// The first word that nobody has; word 0 is nobody's.
    next: AtomicUsize,
    filled: AtomicUsize,
}

/// The hash of a unit's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LongHash(u64);

impl LongHash {
    /// Hashes eight bytes at a time; what no table keeps is not looked at.
    #[inline]
    pub(crate) fn of(unit: &[u8]) -> Self {
        Self(words_of(&unit[..unit.len().min(LONGEST_LONG)]).fold(unit.len() as u64, mix))
    }

    /// Returns the hash of a unit of up to 16 bytes by its words.
    #[inline]
    pub(crate) fn of_key(key: UnitKey, len: u32) -> Self {
        let mixed = mix(u64::from(len), key.low);
        Self(if len > 8 { mix(mixed, key.high) } else { mixed })
    }

    /// Returns the hash as a number.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    fn home(self) -> usize {
        narrow::<_, usize>(self.0 >> (64 - SLOTS.trailing_zeros()))
    }

    /// Returns the part of the hash that slots have, in their upper half.
    fn tag(self) -> u64 {
        self.0 << PLACE_BITS
    }
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 29
}

/// Returns the words of a unit's bytes, the last one padded with zeros.
#[inline]
fn words_of(unit: &[u8]) -> impl Iterator<Item = u64> {
    let (whole, rest) = unit.as_chunks::<8>();
    let last = (!rest.is_empty()).then(|| {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last
    });
    whole.iter().copied().chain(last).map(u64::from_le_bytes)
}

/// Returns two ids as a word.
fn pair(ids: &[TokenId]) -> u64 {
    ids.iter().rev().fold(0, |word, &id| word << 32 | u64::from(id))
}

fn zeros(len: usize) -> Vec<AtomicU64> {
    vec![0_u64; len].into_iter().map(AtomicU64::new).collect()
}

impl SharedLongUnits {
    /// Makes an empty table.
    pub(crate) fn new() -> Self {
        let (next, filled) = (AtomicUsize::new(1), AtomicUsize::new(0));
        Self { slots: zeros(SLOTS), words: zeros(WORDS), next, filled }
    }

    /// Begins to fetch a unit's slot.
    #[inline]
    pub(crate) fn prefetch_slot(&self, hash: LongHash) {
        prefetch(&self.slots[hash.home()]);
    }

    /// Begins to fetch the record that a unit's slot has.
    #[inline]
    pub(crate) fn prefetch_record(&self, hash: LongHash) {
        let slot = self.slots[hash.home()].load(Ordering::Relaxed);
        if let Some(record) = self.words.get(place_of(slot)) {
            prefetch(record);
        }
    }

    /// Returns the place of a unit's record, if it is known.
    pub(crate) fn find(&self, unit: &[u8], hash: LongHash) -> Option<u32> {
        if unit.len() > LONGEST_LONG {
            return None;
        }
        let mut at = hash.home();
        loop {
            let slot = self.slots[at].load(Ordering::Acquire);
            if slot == 0 {
                return None;
            }
            let place = place_of(slot);
            if slot >> PLACE_BITS << PLACE_BITS == hash.tag() && self.is_of(place, unit) {
                return Some(narrow(place));
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// Returns whether a record is the unit's.
    fn is_of(&self, place: usize, unit: &[u8]) -> bool {
        let record = &self.words[place..];
        let word = |at: usize| record[at].load(Ordering::Relaxed);
        word(0) & u64::from(u32::MAX) == unit.len() as u64
            && words_of(unit).zip(1..).all(|(expected, at)| word(at) == expected)
    }

    /// Returns the ids of a record that [`SharedLongUnits::find`] has found.
    #[inline]
    pub(crate) fn ids(&self, place: usize) -> impl Iterator<Item = TokenId> {
        let record = &self.words[place..];
        let head = record[0].load(Ordering::Relaxed);
        let (len, count): (usize, usize) = (narrow(head & u64::from(u32::MAX)), narrow(head >> 32));
        let words = &record[1 + len.div_ceil(8)..];
        (0..count).map(|at| {
            let word = words[at / 2].load(Ordering::Relaxed);
            narrow(word >> (32 * (at % 2)) & u64::from(u32::MAX))
        })
    }

    /// Keeps a unit; returns false where it is too long, or finds no room.
    pub(crate) fn insert(&self, unit: &[u8], hash: LongHash, ids: &[TokenId]) -> bool {
        let len = 1 + unit.len().div_ceil(8) + ids.len().div_ceil(2);
        if unit.len() > LONGEST_LONG
            || self.filled.load(Ordering::Relaxed) >= MOST_FILLED
            || self.next.load(Ordering::Relaxed) + len > WORDS
        {
            return false;
        }
        let place = self.next.fetch_add(len, Ordering::Relaxed);
        let Some(record) = self.words.get(place..place + len) else { return false };
        let head = unit.len() as u64 | (ids.len() as u64) << 32;
        let words = [head].into_iter().chain(words_of(unit)).chain(ids.chunks(2).map(pair));
        for (target, word) in record.iter().zip(words) {
            target.store(word, Ordering::Relaxed);
        }
        let slot = hash.tag() | place as u64;
        let mut at = hash.home();
        // At most so many are filled, but for one of each thread, so that an empty one is found.
        while self.slots[at]
            .compare_exchange(0, slot, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            at = (at + 1) % SLOTS;
        }
        self.filled.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Returns how much memory the table takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let words = self.next.load(Ordering::Relaxed).min(WORDS);
        (SLOTS + words) * size_of::<AtomicU64>()
    }
}

/// Returns the place of the record that a slot has; beyond all records where it has none.
fn place_of(slot: u64) -> usize {
    narrow(slot & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(table: &SharedLongUnits, unit: &str) -> Option<Vec<TokenId>> {
        let place = table.find(unit.as_bytes(), LongHash::of(unit.as_bytes()))?;
        Some(table.ids(place as usize).collect())
    }

    proptest! {
        /// What the table returns is what was put in, whichever unit looks like another.
        #[test]
        fn the_table_returns_what_it_was_given(
            units in proptest::collection::vec(("[a-c\0]{1,40}", 0..12_usize), 1..60),
            others in proptest::collection::vec("[a-c\0]{1,40}", 1..20),
        ) {
            let table = SharedLongUnits::new();
            let ids_of = |unit: &str, count: usize| -> Vec<u32> {
                (0..count).map(|at| u32::try_from(unit.len() * 1000 + at).unwrap()).collect()
            };
            let mut known = std::collections::HashMap::new();
            for (unit, count) in &units {
                let (bytes, hash) = (unit.as_bytes(), LongHash::of(unit.as_bytes()));
                if !known.contains_key(unit) {
                    known.insert(unit.clone(), ids_of(unit, *count));
                    prop_assert!(table.insert(bytes, hash, &ids_of(unit, *count)));
                }
            }
            for unit in units.iter().map(|(unit, _)| unit).chain(&others) {
                let found = get(&table, unit);
                prop_assert_eq!(found.as_ref(), known.get(unit));
            }
        }
    }

    #[test]
    fn a_short_unit_has_the_hash_of_its_key() {
        for len in 1..=16 {
            let unit = &b"abcdefghijklmnop"[..len];
            let key = UnitKey::of(unit);
            assert_eq!(LongHash::of_key(key, u32::try_from(len).unwrap()), LongHash::of(unit));
        }
    }

    #[test]
    fn a_full_table_takes_no_more_and_keeps_what_it_has() {
        let table = SharedLongUnits::new();
        let unit = |number: u32| format!("a unit of its own {number}");
        let kept = (0..2_000_000)
            .take_while(|&number| {
                let unit = unit(number);
                table.insert(unit.as_bytes(), LongHash::of(unit.as_bytes()), &[number; 9])
            })
            .count();
        assert!(kept > 100_000 && kept < 2_000_000, "{kept}");
        for number in (0..u32::try_from(kept).unwrap()).step_by(977) {
            let unit = unit(number);
            assert_eq!(get(&table, &unit), Some(vec![number; 9]));
        }
        assert!(table.memory() <= (SLOTS + WORDS) * 8);
    }

    #[test]
    fn many_threads_read_whole_records() {
        let table = SharedLongUnits::new();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let table = &table;
                scope.spawn(move || {
                    for number in 0..20_000_u32 {
                        let unit = format!("unit {}", number.wrapping_mul(7 + thread) % 5000);
                        let hash = LongHash::of(unit.as_bytes());
                        let expected: Vec<u32> = unit.bytes().map(u32::from).collect();
                        if let Some(found) = get(table, &unit) {
                            assert_eq!(found, expected);
                        } else {
                            table.insert(unit.as_bytes(), hash, &expected);
                        }
                    }
                });
            }
        });
    }
}

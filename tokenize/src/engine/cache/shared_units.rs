//! The table of known units: ids of short units by their exact bytes, shared by all threads.
//!
//! # Why readers need no lock
//!
//! *Definition.* An entry is *claimed* by writing its key where there was none, and *published* by
//! writing its value, which is never zero.
//!
//! *Corollary 1.* A key is written once and never replaced, so a published value belongs to the
//! key next to it for good, and every thread that reads both reads a pair that belongs together.
//!
//! *Corollary 2.* An entry that is claimed and not published reads as a unit that is not known.
//! Its ids are computed then: they are a function of the unit alone.
//!
//! A full line takes no more units; each thread keeps those for itself. So the units that come first
//! stay, and in any text those are mostly the frequent ones.

use std::sync::atomic::{AtomicU64, Ordering};

use ratdata_schemas::{TokenId, narrow};

use super::unit_key::UnitKey;
use crate::engine::simd::prefetch;

/// Lines of units up to 8 bytes, four a line: 8 MB.
const SHORT_LINES: usize = 1 << 17;

/// Lines of units up to 16 bytes, two a line: 16 MB.
const MIDDLE_LINES: usize = 1 << 18;

/// How wide an id is in a value.
const ID_BITS: u32 = 20;

/// How many ids a vocabulary may have whose units the table holds.
pub(crate) const MAX_IDS: u32 = 1 << ID_BITS;

/// How many ids a value holds.
pub(crate) const VALUE_IDS: usize = 3;

/// Up to three ids and, in the upper two bits, their number; zero is none. A number of zero and something else is the
/// place of a record of [`super::shared_long_units`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value(u64);

impl Value {
    /// Packs ids below [`MAX_IDS`].
    fn of(ids: &[TokenId]) -> Self {
        let ids_of =
            |bits, (place, &id): (u32, &TokenId)| bits | u64::from(id) << (place * ID_BITS);
        let count = (ids.len() as u64) << 62;
        Self((0..).zip(ids).fold(count, ids_of))
    }

    /// Packs the place of a unit's record among the long units, which is not zero.
    pub(crate) fn of_record(place: u32) -> Self {
        Self(place.into())
    }

    /// Returns the place of a record, if it is one.
    #[inline]
    pub(crate) fn record(self) -> Option<usize> {
        (self.count() == 0 && !self.is_none()).then(|| narrow(self.0))
    }

    /// Takes what [`Value::bits`] gave.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the value as a number.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether there is no id.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Returns how many ids there are.
    #[inline]
    pub(crate) fn count(self) -> usize {
        narrow(self.0 >> 62)
    }

    /// Returns the ids; those past their number are zero.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the bits beyond an id are taken off")]
    pub(crate) fn ids(self) -> [TokenId; VALUE_IDS] {
        [0, 1, 2].map(|place| (self.0 >> (place * ID_BITS)) as TokenId & (MAX_IDS - 1))
    }
}

/// The ids of a unit as a cache has them: the first three and the others. None where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitIds {
    pub(crate) first: Value,
    pub(crate) second: Value,
}

impl UnitIds {
    /// Packs the ids of a unit; `None` where it has no key or too many ids.
    pub(crate) fn pack(key: UnitKey, ids: &[TokenId]) -> Option<Self> {
        let most = if key.is_short() { VALUE_IDS } else { 2 * VALUE_IDS };
        if key.is_none() || ids.is_empty() || ids.len() > most {
            return None;
        }
        let (first, second) = ids.split_at(ids.len().min(VALUE_IDS));
        Some(Self { first: Value::of(first), second: Value::of(second) })
    }

    /// Returns whether the unit is not known.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.first.is_none()
    }

    /// Returns the ids.
    pub(crate) fn ids(self) -> impl Iterator<Item = TokenId> {
        let ids = |value: Value| value.ids().into_iter().take(value.count());
        ids(self.first).chain(ids(self.second))
    }
}

/// Bytes in a page of memory, at least.
const PAGE: usize = 4096;

/// Numbers in a cache line.
const LINE: usize = 8;

/// Units and their ids; see the module's definitions.
///
/// A line of short units has four keys and then their values; any other the lower halves of two keys,
/// their upper halves, the first values, the second values.
#[derive(Debug)]
pub(crate) struct SharedUnits {
    words: Vec<AtomicU64>,
    /// Where the first line begins, so that each is one cache line.
    first: usize,
}

impl SharedUnits {
    /// Makes an empty table.
    pub(crate) fn new() -> Self {
        let zeros = vec![0_u64; (SHORT_LINES + MIDDLE_LINES + 1) * LINE];
        let words: Vec<AtomicU64> = zeros.into_iter().map(AtomicU64::new).collect();
        // Reading an untouched page maps the shared zero page. The first write then faults, and
        // interrupts every core to change the mapping. So each page is written now.
        for word in words.iter().step_by(PAGE / size_of::<u64>()) {
            word.store(0, Ordering::Relaxed);
        }
        let first = words.as_ptr().align_offset(LINE * size_of::<u64>()).min(LINE);
        Self { words, first }
    }

    /// Returns the number of the line that a unit belongs to.
    #[inline]
    fn place(key: UnitKey) -> usize {
        let hash = key.hash();
        let short = hash >> (64 - SHORT_LINES.trailing_zeros());
        let middle = (hash >> (64 - MIDDLE_LINES.trailing_zeros())) + SHORT_LINES as u64;
        narrow(if key.is_short() { short } else { middle })
    }

    /// Returns the line that a unit belongs to.
    #[inline]
    fn line(&self, key: UnitKey) -> &[AtomicU64] {
        let at = self.first + Self::place(key) * LINE;
        &self.words[at..at + LINE]
    }

    /// Begins to fetch a unit's line.
    #[inline]
    pub(crate) fn prefetch(&self, key: UnitKey) {
        prefetch(&self.line(key)[0]);
    }

    /// Returns the ids of a unit; none where it is not known.
    #[inline]
    pub(crate) fn get(&self, key: UnitKey) -> UnitIds {
        let line = self.line(key);
        let word = |at: usize| line[at].load(Ordering::Relaxed);
        if key.is_short() {
            let way = (0..4).find(|&way| word(way) == key.low);
            let first = Value(way.map_or(0, |way| word(4 + way)));
            return UnitIds { first, second: Value(0) };
        }
        for way in 0..2 {
            // The first value is published last, so once it is there the second is, too.
            let first = line[4 + way].load(Ordering::Acquire);
            if first != 0 && word(way) == key.low && word(2 + way) == key.high {
                return UnitIds { first: Value(first), second: Value(word(6 + way)) };
            }
        }
        UnitIds::default()
    }

    /// Keeps a unit; returns false where it has no key, too many ids, or finds no room.
    pub(crate) fn insert(&self, key: UnitKey, ids: &[TokenId]) -> bool {
        let Some(UnitIds { first, second }) = UnitIds::pack(key, ids) else { return false };
        let line = self.line(key);
        let claim = |at: usize, key: u64| {
            line[at].compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed)
        };
        if key.is_short() {
            return (0..4).any(|way| match claim(way, key.low) {
                Ok(_) => {
                    line[4 + way].store(first.0, Ordering::Relaxed);
                    true
                }
                Err(there) => there == key.low,
            });
        }
        (0..2).any(|way| {
            let claimed = claim(2 + way, key.high).is_ok();
            if claimed {
                line[way].store(key.low, Ordering::Relaxed);
                line[6 + way].store(second.0, Ordering::Relaxed);
                line[4 + way].store(first.0, Ordering::Release);
            }
            claimed
        })
    }

    /// Returns how much memory the table takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.words.len() * size_of::<AtomicU64>()
    }
}

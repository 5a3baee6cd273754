//! The units of one thread that the shared table has no place for.

use ratdata_schemas::{TokenId, narrow};

use super::shared_long_units::{LONGEST_LONG, LongHash};
use crate::engine::simd::prefetch;

/// Units that are too long, have too many ids, or found the shared table full.
///
/// It is emptied when it is full.
#[derive(Clone, Debug)]
pub(crate) struct LongUnits {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    ids: Vec<TokenId>,
    filled: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u64, // 0 is an empty slot
    key: (u32, u32),
    ids: (u32, u32),
}

const LONG_SLOTS: usize = 1 << 17;
const LONG_BYTES: usize = 1 << 21;
const LONG_IDS: usize = 1 << 19;

impl Default for LongUnits {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); LONG_SLOTS],
            bytes: Vec::with_capacity(LONG_BYTES),
            ids: Vec::with_capacity(LONG_IDS),
            filled: 0,
        }
    }
}

impl LongUnits {
    /// Returns the ids of a unit that was seen before.
    pub(crate) fn get(&self, unit: &[u8], hash: LongHash) -> Option<&[TokenId]> {
        if unit.len() > LONGEST_LONG {
            return None;
        }
        let hash = nonzero(hash);
        let mut at = home(hash);
        loop {
            let slot = self.slots[at];
            if slot.hash == 0 {
                return None;
            }
            if slot.hash == hash && self.bytes[slot.key.0 as usize..slot.key.1 as usize] == *unit {
                return Some(&self.ids[slot.ids.0 as usize..slot.ids.1 as usize]);
            }
            at = (at + 1) % LONG_SLOTS;
        }
    }

    /// Remembers a unit.
    pub(crate) fn insert(&mut self, unit: &[u8], hash: LongHash, ids: &[TokenId]) {
        if unit.len() > LONGEST_LONG {
            return;
        }
        let full = self.filled * 2 > LONG_SLOTS
            || self.bytes.len() + unit.len() > LONG_BYTES
            || self.ids.len() + ids.len() > LONG_IDS;
        if full {
            self.slots.fill(Slot::default());
            self.bytes.clear();
            self.ids.clear();
            self.filled = 0;
        }
        let key = append(&mut self.bytes, unit);
        let ids = append(&mut self.ids, ids);
        let hash = nonzero(hash);
        let mut at = home(hash);
        while self.slots[at].hash != 0 {
            at = (at + 1) % LONG_SLOTS;
        }
        self.slots[at] = Slot { hash, key, ids };
        self.filled += 1;
    }

    /// Begins to fetch a unit's slot.
    #[inline]
    pub(crate) fn prefetch_slot(&self, hash: LongHash) {
        prefetch(&self.slots[home(nonzero(hash))]);
    }

    /// Returns how much memory the cache takes, in bytes.
    pub(crate) fn memory() -> usize {
        LONG_SLOTS * size_of::<Slot>() + LONG_BYTES + LONG_IDS * size_of::<TokenId>()
    }
}

fn append<T: Copy>(arena: &mut Vec<T>, items: &[T]) -> (u32, u32) {
    let start = arena.len();
    arena.extend_from_slice(items);
    (narrow(start), narrow(arena.len()))
}

fn home(hash: u64) -> usize {
    narrow::<_, usize>(hash >> 40) % LONG_SLOTS
}

/// Returns the bits of a hash; zero is an empty slot.
#[inline]
fn nonzero(hash: LongHash) -> u64 {
    hash.bits() | 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the long cache returns is what was put in, also after it was emptied.
        #[test]
        fn the_long_cache_returns_what_it_was_given(units in proptest::collection::vec("[a-z]{16,40}", 1..60)) {
            let mut cache = LongUnits::default();
            for (number, unit) in (0..).zip(&units) {
                if cache.get(unit.as_bytes(), LongHash::of(unit.as_bytes())).is_none() {
                    cache.insert(unit.as_bytes(), LongHash::of(unit.as_bytes()), &[number, 7]);
                }
            }
            for unit in &units {
                let first = (0..).zip(&units).find(|(_, other)| *other == unit).unwrap().0;
                prop_assert_eq!(cache.get(unit.as_bytes(), LongHash::of(unit.as_bytes())), Some(&[first, 7][..]));
            }
        }
    }

    #[test]
    fn the_long_cache_stays_within_its_bounds() {
        let mut cache = LongUnits::default();
        for number in 0..200_000_u32 {
            let unit = format!("a unit of its own {number}");
            cache.insert(unit.as_bytes(), LongHash::of(unit.as_bytes()), &[number; 9]);
        }
        assert!(cache.bytes.capacity() <= LONG_BYTES && cache.ids.capacity() <= LONG_IDS);
    }
}

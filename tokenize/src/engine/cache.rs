//! The unit cache: ids of units seen before, by their exact bytes, in a bounded table.

use ratdata_schemas::TokenId;

use super::scan::prefetch;

/// Units up to this many bytes are looked up in one step.
pub(crate) const SHORT: usize = 15;

/// A width that the cache stores ids in.
pub(crate) trait Stored: Copy + Default + std::fmt::Debug + Send + Sync + 'static {
    /// The ids of a short unit and, last, their number.
    type Slot: Copy + Default + std::fmt::Debug + Send + Sync + AsRef<[Self]> + AsMut<[Self]>;
    /// How many ids a slot holds.
    const INLINE: usize;
    /// Narrows an id, which the vocabulary's size has shown to fit.
    fn of(id: TokenId) -> Self;
    /// Widens an id.
    fn id(self) -> TokenId;
}

impl Stored for u16 {
    type Slot = [u16; 8];
    const INLINE: usize = 7;
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "chosen only for vocabularies up to 65,536 ids"
    )]
    fn of(id: TokenId) -> Self {
        id as Self
    }
    #[inline]
    fn id(self) -> TokenId {
        self.into()
    }
}

impl Stored for u32 {
    type Slot = [u32; 4];
    const INLINE: usize = 3;
    #[inline]
    fn of(id: TokenId) -> Self {
        id
    }
    #[inline]
    fn id(self) -> TokenId {
        self
    }
}

/// The key of a short unit: its bytes, zeros, and its length in the last byte.
///
/// No unit is empty, so no key is zero, and zero marks an empty entry.
pub(crate) type Key = u128;

/// A unit and its ids: half a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Entry<I: Stored> {
    pub(crate) key: Key,
    pub(crate) slot: I::Slot,
}

/// The two entries of one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Set<I: Stored> {
    ways: [Entry<I>; 2],
}

/// A table of short units; two entries share a line, and the newer gives way.
#[derive(Clone, Debug)]
pub(crate) struct ShortCache<I: Stored> {
    sets: Vec<Set<I>>,
    shift: u32,
    inserted: u32,
}

impl<I: Stored> ShortCache<I> {
    /// Makes an empty table of `2^bits` lines of 64 bytes.
    pub(crate) fn new(bits: u32) -> Self {
        Self { sets: vec![Set::default(); 1 << bits], shift: 64 - bits, inserted: 0 }
    }

    /// Returns the line a key belongs to.
    #[inline]
    pub(crate) fn place(&self, key: Key) -> usize {
        let low = low_half(key);
        let high = low_half(key >> 64);
        let mixed =
            low.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let hash = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        usize::try_from(hash >> self.shift).unwrap_or(0)
    }

    /// Begins to fetch a line.
    #[inline]
    pub(crate) fn prefetch(&self, place: usize) {
        prefetch(&self.sets[place]);
    }

    /// Returns the key's entry, or, where its key differs, one to look at no further.
    #[inline]
    pub(crate) fn get(&self, place: usize, key: Key) -> &Entry<I> {
        let [older, newer] = &self.sets[place].ways;
        if newer.key == key { newer } else { older }
    }

    /// Remembers a unit of at most [`Stored::INLINE`] ids.
    pub(crate) fn insert(&mut self, place: usize, key: Key, ids: &[TokenId]) {
        let mut entry = Entry::<I> { key, slot: I::Slot::default() };
        let slot: &mut [I] = entry.slot.as_mut();
        for (stored, &id) in slot.iter_mut().zip(ids) {
            *stored = I::of(id);
        }
        slot[I::INLINE] = I::of(u32::try_from(ids.len()).unwrap_or(0));
        let ways = &mut self.sets[place].ways;
        // The first comers are mostly the frequent ones; every eighth newcomer tries its luck.
        self.inserted = self.inserted.wrapping_add(1);
        let way = usize::from(ways[0].key != 0 && !self.inserted.is_multiple_of(8));
        ways[way] = entry;
    }

    /// Returns how much memory the table takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.sets.len() * size_of::<Set<I>>()
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn low_half(key: Key) -> u64 {
    key as u64
}

/// Units beyond the short cache: longer, or of more ids. Emptied when it is full.
#[derive(Clone, Debug)]
pub(crate) struct LongCache {
    slots: Vec<LongSlot>,
    bytes: Vec<u8>,
    ids: Vec<TokenId>,
    filled: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct LongSlot {
    hash: u64, // 0 is an empty slot
    key: (u32, u32),
    ids: (u32, u32),
}

/// Longer units are merged every time: they hardly come again.
const LONGEST: usize = 192;
const LONG_SLOTS: usize = 1 << 15;
const LONG_BYTES: usize = 1 << 20;
const LONG_IDS: usize = 1 << 18;

impl LongCache {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![LongSlot::default(); LONG_SLOTS],
            bytes: Vec::with_capacity(LONG_BYTES),
            ids: Vec::with_capacity(LONG_IDS),
            filled: 0,
        }
    }

    /// Returns the ids of a unit that was seen before.
    pub(crate) fn get(&self, unit: &[u8]) -> Option<&[TokenId]> {
        if unit.len() > LONGEST {
            return None;
        }
        let hash = long_hash(unit);
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
    pub(crate) fn insert(&mut self, unit: &[u8], ids: &[TokenId]) {
        if unit.len() > LONGEST {
            return;
        }
        let full = self.filled * 2 > LONG_SLOTS
            || self.bytes.len() + unit.len() > LONG_BYTES
            || self.ids.len() + ids.len() > LONG_IDS;
        if full {
            self.slots.fill(LongSlot::default());
            self.bytes.clear();
            self.ids.clear();
            self.filled = 0;
        }
        let key = append(&mut self.bytes, unit);
        let ids = append(&mut self.ids, ids);
        let hash = long_hash(unit);
        let mut at = home(hash);
        while self.slots[at].hash != 0 {
            at = (at + 1) % LONG_SLOTS;
        }
        self.slots[at] = LongSlot { hash, key, ids };
        self.filled += 1;
    }

    /// Returns how much memory the cache takes, in bytes.
    pub(crate) fn memory() -> usize {
        LONG_SLOTS * size_of::<LongSlot>() + LONG_BYTES + LONG_IDS * size_of::<TokenId>()
    }
}

fn append<T: Copy>(arena: &mut Vec<T>, items: &[T]) -> (u32, u32) {
    let start = arena.len();
    arena.extend_from_slice(items);
    let narrow = |place| u32::try_from(place).unwrap_or(u32::MAX);
    (narrow(start), narrow(arena.len()))
}

fn home(hash: u64) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) % LONG_SLOTS
}

/// Hashes eight bytes at a time; never zero.
fn long_hash(unit: &[u8]) -> u64 {
    let mut hash = unit.len() as u64;
    let (words, rest) = unit.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    for word in words.iter().chain([&last]) {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    hash | 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the long cache returns is what was put in, also after it was emptied.
        #[test]
        fn the_long_cache_returns_what_it_was_given(units in proptest::collection::vec("[a-z]{16,40}", 1..60)) {
            let mut cache = LongCache::new();
            for (number, unit) in (0..).zip(&units) {
                if cache.get(unit.as_bytes()).is_none() {
                    cache.insert(unit.as_bytes(), &[number, 7]);
                }
            }
            for unit in &units {
                let first = (0..).zip(&units).find(|(_, other)| *other == unit).unwrap().0;
                prop_assert_eq!(cache.get(unit.as_bytes()), Some(&[first, 7][..]));
            }
        }
    }

    #[test]
    fn the_long_cache_stays_within_its_bounds() {
        let mut cache = LongCache::new();
        for number in 0..200_000_u32 {
            cache.insert(format!("a unit of its own {number}").as_bytes(), &[number; 9]);
        }
        assert!(cache.bytes.capacity() <= LONG_BYTES && cache.ids.capacity() <= LONG_IDS);
    }
}

//! A batch of units that are looked up together.
//!
//! It is made in passes without a branch that depends on the text, so that many lookups are under way
//! at once and vector instructions can do them.

use ratdata_schemas::narrow;

use super::SharedTables;
use super::frequent_units::FrequentUnits;
use super::long_units::LongUnits;
use super::shared_long_units::{LONGEST_LONG, LongHash};
use super::shared_units::{UnitIds, Value};
use super::unit_key::{UnitKey, key_len, words_at};
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{BATCH, Kernel, Lanes, Level, nonzero, places, run};

/// Units of a text, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitRange<'a> {
    /// The text.
    pub(crate) text: &'a [u8],
    /// Where the first unit begins.
    pub(crate) start: usize,
    /// Where each unit ends.
    pub(crate) ends: &'a [u32],
    /// Whether a unit may end with a zero byte.
    pub(crate) has_zeros: bool,
}

/// Up to [`BATCH`] units: their keys, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    low: Lanes,
    high: Lanes,
    len: [u32; BATCH],
    places: Lanes,
    first: Lanes,
    second: Lanes,
    /// The units that are not among the frequent ones.
    missing: Places,
    /// The hashes of units that are in none of the tables of short units; those of others mean nothing.
    hashes: [LongHash; BATCH],
}

impl Default for Batch {
    fn default() -> Self {
        let none = [0; BATCH];
        Self {
            low: none,
            high: none,
            len: [0; BATCH],
            places: none,
            first: none,
            second: none,
            missing: Places::default(),
            hashes: [LongHash::default(); BATCH],
        }
    }
}

/// Some of a batch's units.
#[derive(Clone, Debug)]
struct Places {
    /// With room for what is written behind the last place, which is overwritten later.
    list: [u8; BATCH + BLOCK],
    len: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { list: [0; BATCH + BLOCK], len: 0 }
    }
}

impl Places {
    /// Adds the places of a mask's bits, counted from `first`.
    #[inline]
    fn push(&mut self, level: Level, first: usize, mask: u64) {
        let Some(room) = self.list[self.len..].first_chunk_mut() else { return };
        places(level, mask, room);
        let first: u8 = narrow(first & 0xff);
        for place in room {
            *place = first.wrapping_add(*place);
        }
        self.len += mask.count_ones() as usize;
    }

    /// Returns one of the places.
    #[inline]
    fn get(&self, number: usize) -> usize {
        usize::from(self.list[number])
    }
}

/// Makes keys of words and lengths, and places of keys, of this many lanes.
struct MakeKeys<'a>(&'a mut Batch, usize);

/// Lanes that are worked on together.
const LANES: usize = 8;

impl Kernel for MakeKeys<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn run(self) {
        let Batch { low, high, len, places, .. } = self.0;
        let (low, high) = (low.as_chunks_mut::<LANES>().0, high.as_chunks_mut::<LANES>().0);
        let (len, places) = (len.as_chunks::<LANES>().0, places.as_chunks_mut::<LANES>().0);
        let chunks = low.iter_mut().zip(high).zip(len.iter().zip(places));
        for ((low, high), (len, places)) in chunks.take(self.1.div_ceil(LANES)) {
            for at in 0..LANES {
                let key = UnitKey::of_words(low[at], high[at], len[at]);
                (low[at], high[at], places[at]) = (key.low, key.high, FrequentUnits::place(key));
            }
        }
    }
}

impl Batch {
    /// Takes up to [`BATCH`] units, looks them up among the frequent ones, and begins to fetch what the
    /// others need. Returns where the last of them ends.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        level: Level,
        frequent: &FrequentUnits,
        shared: &SharedTables,
        units: UnitRange<'_>,
    ) -> usize {
        let UnitRange { text, mut start, ends, has_zeros } = units;
        for (at, &end) in ends.iter().enumerate().take(BATCH) {
            (self.low[at], self.high[at]) = words_at(text, start);
            self.len[at] = key_len(text, start, end as usize, has_zeros);
            start = end as usize;
        }
        let count = ends.len().min(BATCH);
        run(level, MakeKeys(self, count));
        frequent.short(level, count, &self.places, &self.low, &mut self.first);
        self.second = [0; BATCH];
        let mut middle = Places::default();
        for (number, lanes) in self.high.as_chunks::<BLOCK>().0.iter().enumerate() {
            let first = number * BLOCK;
            middle.push(
                level,
                first,
                nonzero(level, lanes) & mask::first(count.saturating_sub(first)),
            );
        }
        for at in (0..middle.len).map(|number| middle.get(number)) {
            let found = frequent.middle(self.places[at], self.key(at));
            (self.first[at], self.second[at]) = (found.first.bits(), found.second.bits());
        }
        self.missing.len = 0;
        for (number, lanes) in self.first.as_chunks::<BLOCK>().0.iter().enumerate() {
            let first = number * BLOCK;
            let live = mask::first(count.saturating_sub(first));
            self.missing.push(level, first, !nonzero(level, lanes) & live);
        }
        for number in 0..self.missing.len {
            let at = self.missing.get(number);
            let key = self.key(at);
            if key.is_none() {
                self.begin_long(at, shared, units);
            } else {
                shared.units.prefetch(key);
            }
        }
        start
    }

    /// Hashes a unit that has no key, and begins to fetch its slot.
    #[inline]
    fn begin_long(&mut self, at: usize, shared: &SharedTables, units: UnitRange<'_>) {
        let start = if at == 0 { units.start } else { units.ends[at - 1] as usize };
        let unit = units.ends.get(at).and_then(|&end| units.text.get(start..end as usize));
        if let Some(unit) = unit.filter(|unit| unit.len() <= LONGEST_LONG) {
            self.hashes[at] = LongHash::of(unit);
            shared.long.prefetch_slot(self.hashes[at]);
        }
    }

    /// Returns the hash of one of the units.
    #[inline]
    pub(crate) fn long_hash(&self, at: usize) -> LongHash {
        self.hashes[at]
    }

    /// Looks up the units that are not frequent in the table that all threads share, and begins to fetch the
    /// records of long ones.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        frequent: &mut FrequentUnits,
        long: &LongUnits,
        shared: &SharedTables,
    ) {
        for number in 0..self.missing.len {
            let at = self.missing.get(number);
            let key = self.key(at);
            if key.is_none() {
                shared.long.prefetch_record(self.hashes[at]);
                long.prefetch_slot(self.hashes[at]);
                continue;
            }
            let found = shared.units.get(key);
            if found.is_none() {
                // All of a batch are under way at once, before the first is asked for.
                self.hashes[at] = LongHash::of_key(key, self.len[at]);
                shared.long.prefetch_slot(self.hashes[at]);
                long.prefetch_slot(self.hashes[at]);
            } else {
                frequent.keep(self.places[at], key, found);
                (self.first[at], self.second[at]) = (found.first.bits(), found.second.bits());
            }
        }
    }

    /// Returns the ids of each unit; none where it is not known.
    #[inline]
    pub(crate) fn found(&self) -> impl Iterator<Item = UnitIds> {
        self.first.iter().zip(&self.second).map(|(&first, &second)| UnitIds {
            first: Value::from_bits(first),
            second: Value::from_bits(second),
        })
    }

    #[inline]
    fn key(&self, at: usize) -> UnitKey {
        UnitKey { low: self.low[at], high: self.high[at] }
    }
}

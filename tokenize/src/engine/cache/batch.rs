//! A batch of units that are looked up together.
//!
//! It is made in passes without a branch that depends on the text, so that many lookups are under way
//! at once and vector instructions can do them.

use super::frequent_units::FrequentUnits;
use super::shared_units::{SharedUnits, UnitIds, Value};
use super::unit_key::{UnitKey, key_len, words_at};
use crate::engine::mask;
use crate::engine::simd::{BATCH, Kernel, Lanes, Level, nonzero, run};

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
    /// The units that are not among the frequent ones, one bit each.
    missing: u64,
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
            missing: 0,
        }
    }
}

/// Makes keys of words and lengths, and places of keys.
struct MakeKeys<'a>(&'a mut Batch);

impl Kernel for MakeKeys<'_> {
    #[expect(clippy::inline_always, reason = "only what is inlined gets the caller's instructions")]
    #[inline(always)]
    fn run(self) {
        let Batch { low, high, len, places, .. } = self.0;
        for at in 0..BATCH {
            let key = UnitKey::of_words(low[at], high[at], len[at]);
            (low[at], high[at], places[at]) = (key.low, key.high, FrequentUnits::place(key));
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
        shared: &SharedUnits,
        units: UnitRange<'_>,
    ) -> usize {
        let UnitRange { text, mut start, ends, has_zeros } = units;
        for (at, &end) in ends.iter().enumerate().take(BATCH) {
            (self.low[at], self.high[at]) = words_at(text, start);
            self.len[at] = key_len(text, start, end as usize, has_zeros);
            start = end as usize;
        }
        run(level, MakeKeys(self));
        frequent.short(level, &self.places, &self.low, &mut self.first);
        self.second = [0; BATCH];
        let live = mask::first(ends.len().max(1));
        for at in mask::places(nonzero(level, &self.high) & live) {
            let found = frequent.middle(self.places[at], self.key(at));
            (self.first[at], self.second[at]) = (found.first.bits(), found.second.bits());
        }
        self.missing = !nonzero(level, &self.first) & live;
        for at in mask::places(self.missing) {
            shared.prefetch(self.key(at));
        }
        start
    }

    /// Looks up the units that are not frequent in the table that all threads share.
    #[inline]
    pub(crate) fn finish(&mut self, frequent: &mut FrequentUnits, shared: &SharedUnits) {
        for at in mask::places(self.missing) {
            let found = shared.get(self.key(at));
            if !found.is_none() {
                frequent.keep(self.places[at], self.key(at), found);
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

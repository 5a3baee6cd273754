//! Units looked up together, in passes without a branch that depends on the text, so that many are
//! under way at once and vector instructions do what they can.

use super::hot::HotUnits;
use super::key::{Key, key_len, words_at};
use super::scan::{BATCH, Kernel, Lanes, Level, nonzero, run};
use super::table::{UnitTable, Value};

/// Up to [`BATCH`] units: their keys, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    low: Lanes,
    high: Lanes,
    len: [u32; BATCH],
    places: Lanes,
    first: Lanes,
    second: Lanes,
    /// The units that were not found close by, one bit each.
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
            let key = Key::of_words(low[at], high[at], len[at]);
            (low[at], high[at], places[at]) = (key.low, key.high, HotUnits::place(key));
        }
    }
}

impl Batch {
    /// Takes the units that end at `ends`, the first beginning at `start`; looks them up close by,
    /// and begins to fetch what the others need. Returns where the last of them ends.
    ///
    /// `zeros` says whether a unit may end with a zero byte.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        level: Level,
        (hot, known): (&HotUnits, &UnitTable),
        (bytes, mut start, ends): (&[u8], usize, &[u32]),
        zeros: bool,
    ) -> usize {
        for (at, &end) in ends.iter().enumerate().take(BATCH) {
            (self.low[at], self.high[at]) = words_at(bytes, start);
            self.len[at] = key_len(bytes, start, end as usize, zeros);
            start = end as usize;
        }
        run(level, MakeKeys(self));
        hot.short(level, &self.places, &self.low, &mut self.first);
        self.second = [0; BATCH];
        let live = u64::MAX >> (BATCH - ends.len().clamp(1, BATCH));
        for at in bits(nonzero(level, &self.high) & live) {
            let (first, second) = hot.middle(self.places[at], self.key(at));
            (self.first[at], self.second[at]) = (first.bits(), second.bits());
        }
        self.missing = !nonzero(level, &self.first) & live;
        for at in bits(self.missing) {
            known.prefetch(self.key(at));
        }
        start
    }

    /// Looks up what was not found close by in the table that all threads share.
    #[inline]
    pub(crate) fn finish(&mut self, hot: &mut HotUnits, known: &UnitTable) {
        for at in bits(self.missing) {
            let values = known.get(self.key(at));
            if !values.0.is_none() {
                hot.keep(self.places[at], self.key(at), values);
                (self.first[at], self.second[at]) = (values.0.bits(), values.1.bits());
            }
        }
    }

    /// Returns what is known of each unit: the first three of its ids, none where it is not known,
    /// and the others.
    #[inline]
    pub(crate) fn found(&self) -> impl Iterator<Item = (Value, Value)> {
        let values = self.first.iter().zip(&self.second);
        values.map(|(&first, &second)| (Value::from_bits(first), Value::from_bits(second)))
    }

    #[inline]
    fn key(&self, at: usize) -> Key {
        Key { low: self.low[at], high: self.high[at] }
    }
}

/// Returns the places of a mask's bits.
#[inline]
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (at < BATCH).then_some(at)
    })
}

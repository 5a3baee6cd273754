//! Counts things that occur more than once, by their hash, in bounded memory.
//!
//! Every hash is kept while there is space. After that, only multiples of two are kept, then multiples
//! of four, and so on. This sample depends on the content alone. So it is the same for any number of
//! threads, and two sets can be compared.
//!
//! The highest bits of a hash choose one of several small tables. A thread adds many hashes to a table
//! at a time, so the table stays in the processor's cache meanwhile. All threads share the tables.

use ratdata_schemas::narrow;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// How many tables there are, and the bits of a hash that choose one.
const TABLES: usize = 1 << TABLE_BITS;
const TABLE_BITS: u32 = 6;

/// How many hashes a thread collects for a table.
const HELD: usize = 256;

/// Hashes and how often each occurred; threads add to it through [`Adder`]s.
#[derive(Debug)]
pub(crate) struct Repeats {
    tables: Vec<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    seen: FxHashMap<u64, u32>,
    mask: u64,
    most: usize,
}

impl Repeats {
    /// Allows about `most` different hashes, which take about 20 bytes each.
    pub(crate) fn new(most: usize) -> Self {
        let most = (most / TABLES).max(1);
        let table = || Mutex::new(Table { seen: FxHashMap::default(), mask: 0, most });
        Self { tables: (0..TABLES).map(|_| table()).collect() }
    }

    /// Returns the adder of one thread.
    pub(crate) fn adder(&self) -> Adder<'_> {
        let held = || Vec::with_capacity(HELD);
        Adder { repeats: self, held: (0..TABLES).map(|_| held()).collect() }
    }

    /// Returns whether only a sample of the hashes is kept, so that the numbers are estimates.
    pub(crate) fn is_sampled(&self) -> bool {
        self.sum(|table| table.mask) > 0
    }

    /// Returns how many equal an earlier one; an estimate if only a sample is kept.
    pub(crate) fn repeated(&self) -> u64 {
        self.sum(|table| {
            let again = table.seen.values().map(|&times| u64::from(times) - 1);
            again.sum::<u64>() * (table.mask + 1)
        })
    }

    /// Returns how many different ones of this set are also in the other.
    pub(crate) fn shared_with(&self, other: &Self) -> u64 {
        let shared = |(left, right): (&Mutex<Table>, &Mutex<Table>)| {
            let left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let right = right.lock().unwrap_or_else(PoisonError::into_inner);
            let mask = left.mask.max(right.mask);
            let kept = left.seen.keys().filter(|&hash| hash & mask == 0);
            kept.filter(|hash| right.seen.contains_key(hash)).count() as u64 * (mask + 1)
        };
        self.tables.iter().zip(&other.tables).map(shared).sum()
    }

    fn sum(&self, of: impl Fn(&Table) -> u64) -> u64 {
        let locked =
            |table: &Mutex<Table>| of(&table.lock().unwrap_or_else(PoisonError::into_inner));
        self.tables.iter().map(locked).sum()
    }
}

impl Table {
    fn add(&mut self, hash: u64) {
        if hash & self.mask != 0 {
            return;
        }
        if self.seen.len() >= self.most && !self.seen.contains_key(&hash) {
            while self.seen.len() >= self.most && hash & self.mask == 0 {
                self.mask = self.mask << 1 | 1;
                let mask = self.mask;
                self.seen.retain(|hash, _| hash & mask == 0);
            }
            if hash & self.mask != 0 {
                return;
            }
        }
        let times = self.seen.entry(hash).or_default();
        *times = times.saturating_add(1);
    }
}

/// Adds the hashes of one thread to a [`Repeats`]; the collected rest is added when it is dropped.
#[derive(Debug)]
pub(crate) struct Adder<'a> {
    repeats: &'a Repeats,
    held: Vec<Vec<u64>>,
}

impl Adder<'_> {
    pub(crate) fn add(&mut self, hash: u64) {
        // Six bits are always an index of a table.
        let number: usize = narrow(hash >> (u64::BITS - TABLE_BITS));
        let held = &mut self.held[number];
        held.push(hash);
        if held.len() == HELD {
            self.repeats.take(number, held);
        }
    }
}

impl Repeats {
    fn take(&self, number: usize, held: &mut Vec<u64>) {
        let mut table = self.tables[number].lock().unwrap_or_else(PoisonError::into_inner);
        for hash in held.drain(..) {
            table.add(hash);
        }
    }
}

impl Drop for Adder<'_> {
    fn drop(&mut self) {
        for (number, held) in self.held.iter_mut().enumerate() {
            self.repeats.take(number, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(most: usize, hashes: impl IntoIterator<Item = u64>) -> Repeats {
        let repeats = Repeats::new(most);
        let mut adder = repeats.adder();
        hashes.into_iter().for_each(|hash| adder.add(hash));
        drop(adder);
        repeats
    }

    #[test]
    fn repeats_are_counted_and_sets_compared() {
        let high = 1 << 63;
        let left = of(1 << 20, [4, 4, 4, 8, 7, high, high]);
        let right = of(1 << 20, [8, 9, high]);

        assert_eq!((left.repeated(), right.repeated()), (3, 0));
        assert_eq!(left.shared_with(&right), 2);
        assert!(!left.is_sampled());
    }

    #[test]
    fn what_does_not_fit_is_a_sample_by_content() {
        // All in the first table, each twice.
        let numbers = || (0..1000_u64).chain(0..1000);

        let set = of(100 * TABLES, numbers());

        assert!(set.is_sampled());
        // Every sixteenth is kept: 63 of 1000.
        assert_eq!(set.repeated(), 63 * 16);
        assert_eq!(set.shared_with(&of(1 << 20, 0..1000)), 63 * 16);
    }

    proptest! {
        /// For any order, and any number of adders.
        #[test]
        fn what_is_kept_does_not_depend_on_the_order(
            mut hashes in proptest::collection::vec(any::<u64>(), 0..400),
            cut in 0..400_usize,
        ) {
            let once = of(TABLES, hashes.iter().copied());
            hashes.reverse();
            let (first, second) = hashes.split_at(cut.min(hashes.len()));
            let twice = Repeats::new(TABLES);
            for half in [first, second] {
                let mut adder = twice.adder();
                for &hash in half {
                    adder.add(hash);
                }
            }

            prop_assert_eq!(once.repeated(), twice.repeated());
            prop_assert_eq!(once.shared_with(&twice), twice.shared_with(&once));
            let masks = |set: &Repeats| set.sum(|table| table.mask);
            prop_assert_eq!(masks(&once), masks(&twice));
        }
    }
}

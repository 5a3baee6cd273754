//! The table of merges: which pair of symbols becomes what, and how early.

use ratdata_schemas::narrow;

/// What merging works on; `vocabulary.rs` defines it.
pub(crate) type Symbol = u32;

/// One merge: the pair, its rank and what it becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge {
    pub(crate) left: Symbol,
    pub(crate) right: Symbol,
    pub(crate) rank: u32,
    pub(crate) becomes: Symbol,
}

/// A pair that never occurs: the mark of an empty slot.
const EMPTY: u64 = u64::MAX;

/// The rank of a pair that does not merge.
pub(crate) const NO_RANK: u32 = u32::MAX;

/// Bits of the filter for each slot of the table.
const FILTER_BITS: usize = 4;

/// An open-addressing table from pairs of symbols to their merge, at most half full.
///
/// Most pairs that are looked up do not merge, and the table is larger than the nearest caches. So a filter of one
/// bit a hash, which is 32 times smaller, is asked first.
#[derive(Debug)]
pub(crate) struct PairTable {
    slots: Vec<Slot>,
    filter: Vec<u64>,
    shift: u32,
    len: usize,
    most_rank: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    pair: u64,
    rank: u32,
    becomes: Symbol,
}

impl PairTable {
    /// Builds the table; where a pair is given twice, the last counts, as in `tokenizers`.
    pub(crate) fn new(merges: &[Merge]) -> Self {
        let capacity = (merges.len() * 2).next_power_of_two().max(2);
        let empty = Slot { pair: EMPTY, rank: NO_RANK, becomes: 0 };
        let shift = 64 - capacity.trailing_zeros();
        let mut table = Self {
            slots: vec![empty; capacity],
            filter: vec![0; (capacity * FILTER_BITS).div_ceil(64)],
            shift,
            len: 0,
            most_rank: 0,
        };
        for merge in merges {
            table.most_rank = table.most_rank.max(merge.rank);
            table.insert(*merge);
        }
        table
    }

    fn insert(&mut self, merge: Merge) {
        let pair = key(merge.left, merge.right);
        let bit = self.filter_bit(hash(pair));
        self.filter[bit / 64] |= 1 << (bit % 64);
        let mut at = self.home(hash(pair));
        while self.slots[at].pair != EMPTY && self.slots[at].pair != pair {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.len += usize::from(self.slots[at].pair == EMPTY);
        self.slots[at] = Slot { pair, rank: merge.rank, becomes: merge.becomes };
    }

    /// Returns the rank of a pair and what it becomes; [`NO_RANK`] where it does not merge.
    #[inline]
    pub(crate) fn get(&self, left: Symbol, right: Symbol) -> (u32, Symbol) {
        let pair = key(left, right);
        let hash = hash(pair);
        let bit = self.filter_bit(hash);
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return (NO_RANK, 0);
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.pair == pair || slot.pair == EMPTY {
                return (slot.rank, slot.becomes);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Returns the highest rank of a merge.
    #[inline]
    pub(crate) fn most_rank(&self) -> u32 {
        self.most_rank
    }

    /// Returns how much memory the table takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.filter.len() * size_of::<u64>()
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        narrow(hash >> self.shift)
    }

    #[inline]
    fn filter_bit(&self, hash: u64) -> usize {
        narrow(hash >> (self.shift - FILTER_BITS.trailing_zeros()))
    }
}

/// Returns a hash whose upper bits are the best.
#[inline]
fn hash(pair: u64) -> u64 {
    (pair ^ (pair >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn key(left: Symbol, right: Symbol) -> u64 {
    (u64::from(left) << 32) | u64::from(right)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The table answers as a plain map does, for pairs in it and pairs not in it.
        #[test]
        fn the_table_is_a_map(
            merges in proptest::collection::vec((0..40_u32, 0..40_u32, 0..9_u32, 0..99_u32), 0..200)
        ) {
            let merges: Vec<Merge> = merges
                .into_iter()
                .map(|(left, right, rank, becomes)| Merge { left, right, rank, becomes })
                .collect();
            let map: HashMap<_, _> =
                merges.iter().map(|m| ((m.left, m.right), (m.rank, m.becomes))).collect();

            let table = PairTable::new(&merges);

            prop_assert_eq!(table.len, map.len());
            for left in 0..40 {
                for right in 0..40 {
                    let expected = map.get(&(left, right)).copied();
                    let found = Some(table.get(left, right)).filter(|found| found.0 != NO_RANK);
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}

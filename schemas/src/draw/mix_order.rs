//! The order of the documents that several sources give to a mix, computed and never stored.

use super::order::Draw;
use super::permutation::Permutation;
use super::split_mix::mix;

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gift {
    /// How many documents it has.
    documents: u64,
    /// How many the sources before it give.
    first: u64,
}

/// The documents of a mix in an order of a seed.
///
/// A source gives its documents in an order of its own, which is another in each epoch; what it gives of
/// the last epoch are the first ones in that order. All that is given is then shuffled once more.
///
/// A document's place decides all of it, so that any part of the mix can be made without the others.
#[derive(Clone, Debug)]
pub struct MixOrder {
    sources: Vec<Gift>,
    all: Permutation,
    len: u64,
    seed: u64,
}

impl MixOrder {
    /// Makes the order of sources of `(documents, given)`, of which more are given than there are where some
    /// come again; none where a source without documents gives some, or all of them give `2^64` or more.
    pub fn new(sources: &[(u64, u64)], seed: u64) -> Option<Self> {
        let mut len = 0_u64;
        let mut firsts = Vec::with_capacity(sources.len());
        for &(documents, given) in sources {
            if documents == 0 && given > 0 {
                return None;
            }
            firsts.push(Gift { documents, first: len });
            len = len.checked_add(given)?;
        }
        let all = Permutation::new(len, mix(seed ^ 0x6d69_7865_645f_646f), 0);
        Some(Self { sources: firsts, all, len, seed })
    }

    /// Returns how many documents the mix has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the mix has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the document at a place of the mix.
    ///
    /// # Panics
    ///
    /// Past the last place, as a slice does.
    pub fn at(&self, place: u64) -> Draw {
        let number = self.all.at(place);
        // A source that gives nothing begins where the next one does.
        let source = self.sources.partition_point(|source| source.first <= number) - 1;
        let Gift { documents, first } = self.sources[source];
        let drawn = number - first;
        let epoch = self.epoch(source, drawn / documents);
        Draw { source, row: epoch.at(drawn % documents) }
    }

    /// Returns the order in which a source gives its documents in an epoch.
    ///
    /// # Panics
    ///
    /// There is no such source.
    pub fn epoch(&self, source: usize, epoch: u64) -> Permutation {
        Permutation::new(self.sources[source].documents, seed_of(self.seed, source), epoch)
    }
}

/// Each source has an order of its own, also where two have equally many documents.
fn seed_of(seed: u64, source: usize) -> u64 {
    mix(seed).wrapping_add(mix(source as u64 ^ 0x736f_7572_6365_0000))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each source gives what it is asked for, and no document twice before each came once.
        #[test]
        fn every_document_comes_as_often_as_its_epochs(
            sources in prop::collection::vec((1..60_u64, 0..200_u64), 1..5), seed: u64,
        ) {
            let order = MixOrder::new(&sources, seed).unwrap();
            let mut counts: BTreeMap<Draw, u64> = BTreeMap::new();
            for place in 0..order.len() {
                *counts.entry(order.at(place)).or_default() += 1;
            }

            for (number, &(documents, given)) in sources.iter().enumerate() {
                let of = |row| counts.get(&Draw { source: number, row }).copied().unwrap_or(0);
                let often: Vec<u64> = (0..documents).map(of).collect();
                prop_assert_eq!(often.iter().sum::<u64>(), given);
                let (least, most) = (given / documents, given.div_ceil(documents));
                prop_assert!(often.iter().all(|&times| (least..=most).contains(&times)));
            }
        }
    }

    #[test]
    fn sources_and_epochs_are_mixed_through_each_other() {
        let order = MixOrder::new(&[(1000, 2000), (0, 0), (3000, 2000)], 7).unwrap();

        let first = (0..1000).filter(|&place| order.at(place).source == 0).count();

        assert!((430..570).contains(&first), "{first} of 1000");
        assert!((0..order.len()).all(|place| order.at(place).source != 1));
    }

    #[test]
    fn two_sources_with_equally_many_documents_have_orders_of_their_own() {
        let order = MixOrder::new(&[(500, 500), (500, 500)], 7).unwrap();

        let (one, two) = (order.epoch(0, 0), order.epoch(1, 0));

        assert!((0..500).filter(|&at| one.at(at) == two.at(at)).count() < 10);
    }

    #[test]
    fn what_cannot_be_given_is_no_order() {
        assert!(MixOrder::new(&[(0, 1)], 0).is_none());
        assert!(MixOrder::new(&[(1, u64::MAX), (1, 1)], 0).is_none());
        assert!(MixOrder::new(&[], 0).unwrap().is_empty());
    }
}

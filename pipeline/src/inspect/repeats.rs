//! Counts things that occur more than once, by their hash, in bounded memory.
//!
//! As long as there is room every hash is kept. When there is none, only hashes that are multiples
//! of two are, then of four, and so on: a sample that depends on content alone, so it is the same
//! for any number of threads, and two sets can be compared.

use rustc_hash::FxHashMap;

/// At most this many hashes are kept: about 200 MB.
const MOST: usize = 8 << 20;

/// Hashes and how often each was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    seen: FxHashMap<u64, u32>,
    mask: u64,
}

impl Repeats {
    pub(crate) fn add(&mut self, hash: u64) {
        if hash & self.mask == 0 {
            let times = self.seen.entry(hash).or_default();
            *times = times.saturating_add(1);
            self.shrink();
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.narrow(other.mask);
        for (hash, times) in other.seen {
            if hash & self.mask == 0 {
                let sum = self.seen.entry(hash).or_default();
                *sum = sum.saturating_add(times);
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        while self.seen.len() > MOST {
            self.narrow(self.mask << 1 | 1);
        }
    }

    fn narrow(&mut self, mask: u64) {
        if mask > self.mask {
            self.mask = mask;
            self.seen.retain(|hash, _| hash & mask == 0);
        }
    }

    /// Returns how many there are in all for each one that was kept.
    pub(crate) fn scale(&self) -> u64 {
        self.mask + 1
    }

    /// Returns how many are the same as an earlier one; an estimate where not all were kept.
    pub(crate) fn repeated(&self) -> u64 {
        self.seen.values().map(|&times| u64::from(times) - 1).sum::<u64>() * self.scale()
    }

    /// Returns how many different ones of this set are in the other too.
    pub(crate) fn shared_with(&self, other: &Self) -> u64 {
        let mask = self.mask.max(other.mask);
        let kept = self.seen.keys().filter(|&hash| hash & mask == 0);
        kept.filter(|hash| other.seen.contains_key(hash)).count() as u64 * (mask + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_sets_compared() {
        let (mut left, mut right) = (Repeats::default(), Repeats::default());
        for hash in [4, 4, 4, 8, 7] {
            left.add(hash);
        }
        for hash in [8, 9] {
            right.add(hash);
        }

        assert_eq!((left.repeated(), right.repeated()), (2, 0));
        assert_eq!(left.shared_with(&right), 1);
        left.join(right);
        assert_eq!(left.repeated(), 3);
    }

    #[test]
    fn a_narrowed_set_keeps_a_sample_by_content() {
        let mut set = Repeats::default();
        for hash in 0..100 {
            set.add(hash);
        }

        set.narrow(3);

        assert_eq!(set.seen.len(), 25);
        assert_eq!(set.scale(), 4);
    }
}

//! A keyed permutation of the numbers below `len`, computed and never stored.

use super::split_mix::{STEP, mix};

/// How often the halves are mixed. Four rounds are enough for long ranges, tiny ones need more.
const ROUNDS: usize = 8;

/// A permutation of `0..len`, the same for one seed and one epoch on every machine.
///
/// A Feistel network permutes a range whose length is a power of four. A number that falls outside
/// `len` goes through the network again until it falls inside (cycle walking): fewer than four
/// times on average. Only the keys are stored, for a range of any length.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Makes the permutation of `0..len` of one epoch.
    pub fn new(len: u64, seed: u64, epoch: u64) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        let mut state = mix(seed).wrapping_add(mix(epoch ^ 0x5bd1_e995_9d1c_a3f7));
        let keys = std::array::from_fn(|_| {
            state = state.wrapping_add(STEP);
            mix(state)
        });
        Self { len, half_bits: bits.div_ceil(2).max(1), keys }
    }

    /// Returns the number at `index`.
    ///
    /// # Panics
    ///
    /// Panics where `index` is not below the length, as a slice does.
    pub fn at(&self, index: u64) -> u64 {
        assert!(index < self.len, "index {index} of a permutation of {}", self.len);
        let mut number = index;
        loop {
            number = self.network(number);
            if number < self.len {
                return number;
            }
        }
    }

    fn network(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_stands_at_one_place(len in 1..3_000_u64, seed: u64, epoch in 0..9_u64) {
            let permutation = Permutation::new(len, seed, epoch);

            let mut seen = vec![false; usize::try_from(len).unwrap()];
            for index in 0..len {
                let number = usize::try_from(permutation.at(index)).unwrap();
                prop_assert!(!std::mem::replace(&mut seen[number], true), "{number} twice");
            }
        }

        #[test]
        fn the_longest_ranges_stay_within_themselves(less in 0..1_000_u64, index: u64, seed: u64) {
            let len = u64::MAX - less;

            prop_assert!(Permutation::new(len, seed, 0).at(index % len) < len);
        }
    }

    #[test]
    fn another_epoch_is_another_order() {
        let order = |epoch| {
            let permutation = Permutation::new(1000, 1005, epoch);
            (0..1000).map(|index| permutation.at(index)).collect::<Vec<_>>()
        };

        let unmoved = order(0).iter().zip(order(1)).filter(|&(a, b)| *a == b).count();

        assert!(unmoved < 10, "{unmoved} of 1000 stand where they stood");
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let permutation = Permutation::new(100_000, 7, 0);

        let low = (0..10_000).filter(|&index| permutation.at(index) < 50_000).count();

        assert!((4_800..5_200).contains(&low), "{low} of the first 10,000 are in the lower half");
    }
}

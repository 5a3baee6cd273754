//! Which row of a source is drawn when, computed from the number of the draw.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::convert::narrow;
use ratdata_schemas::draw::{Permutation, mix};

/// The orders in which rows are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In the order on disk, in `shares` contiguous shares that advance in turn: a batch takes
    /// equally many rows of each share. With one share for each rank, this is what the reference
    /// reads.
    Ordered,
    /// Any row at any time, with replacement.
    Random,
    /// Every row once an epoch, in an order computed from seed and epoch.
    #[default]
    Shuffled,
}

/// Says which row of one source is drawn when.
///
/// The row of a draw depends only on the fields here and on the number of the draw. So a run that
/// resumes needs no replay, and the number of devices changes nothing.
#[derive(Clone, Debug)]
pub struct Sampler {
    order: Order,
    rows: u64,
    seed: u64,
    shares: u64,
    epoch: Option<(u64, Permutation)>,
}

impl Sampler {
    /// Makes a sampler of `rows` rows.
    ///
    /// # Panics
    /// Panics where there are no rows, or fewer than shares.
    pub fn new(order: Order, rows: u64, seed: u64, shares: NonZeroU64) -> Self {
        assert!(rows >= shares.get(), "{rows} rows in {shares} shares");
        Self { order, rows, seed, shares: shares.get(), epoch: None }
    }

    /// Returns how many draws an epoch has.
    pub fn epoch_len(&self) -> u64 {
        match self.order {
            Order::Ordered => self.rows / self.shares * self.shares,
            Order::Random | Order::Shuffled => self.rows,
        }
    }

    /// Returns the row of a draw, counted from 0 over all epochs.
    pub fn row(&mut self, draw: u64) -> u64 {
        let (epoch, within) = (draw / self.epoch_len(), draw % self.epoch_len());
        match self.order {
            Order::Ordered => {
                let share_len = self.rows / self.shares;
                within % self.shares * share_len + within / self.shares
            }
            Order::Random => scale(mix(mix(self.seed) ^ draw), self.rows),
            Order::Shuffled => {
                let (rows, seed) = (self.rows, self.seed);
                let known = self.epoch.take().filter(|(number, _)| *number == epoch);
                let (_, order) = self
                    .epoch
                    .insert(known.unwrap_or_else(|| (epoch, Permutation::new(rows, seed, epoch))));
                order.at(within)
            }
        }
    }
}

/// Scales a random word to `0..range`. The probabilities of two numbers differ by at most a factor
/// of 1 + 2^-64·range.
pub(crate) fn scale(word: u64, range: u64) -> u64 {
    let wide = u128::from(word) * u128::from(range);
    narrow(wide >> 64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(order: Order, rows: u64, shares: u64, draws: std::ops::Range<u64>) -> Vec<u64> {
        let mut sampler = Sampler::new(order, rows, 1005, NonZeroU64::new(shares).unwrap());
        draws.map(|draw| sampler.row(draw)).collect()
    }

    #[test]
    fn shares_advance_in_turn() {
        assert_eq!(drawn(Order::Ordered, 11, 3, 0..10), [0, 3, 6, 1, 4, 7, 2, 5, 8, 0]);
    }

    #[test]
    fn a_random_order_reaches_every_row_and_repeats() {
        let mut rows = drawn(Order::Random, 10, 1, 0..200);
        rows.sort_unstable();
        rows.dedup();

        assert_eq!(rows, (0..10).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_shuffled_epoch_has_every_row_once(rows in 1..500_u64, epoch in 0..4_u64) {
            let mut found = drawn(Order::Shuffled, rows, 1, epoch * rows..(epoch + 1) * rows);
            found.sort_unstable();

            prop_assert_eq!(found, (0..rows).collect::<Vec<_>>());
        }

        #[test]
        fn a_draw_does_not_depend_on_those_before(draw in 0..5_000_u64) {
            for order in [Order::Ordered, Order::Random, Order::Shuffled] {
                let all = drawn(order, 900, 4, 0..draw + 1);

                prop_assert_eq!(&all[all.len() - 1..], &drawn(order, 900, 4, draw..draw + 1));
            }
        }
    }
}

//! Which source a sample of a mixture is taken from, computed from the number of the sample.

use thiserror::Error;

use super::permutation::Permutation;
use crate::narrow::narrow;

/// How many samples a block has.
const BLOCK: u64 = 1 << 16;

/// Keeps the orders within blocks apart from the orders of rows, which have the same seed.
const KEY: u64 = 0x6d69_7874_7572_6521;

/// Why weights make no mixture.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum MixtureError {
    /// There are no weights.
    #[error("a mixture of no sources, expected at least one")]
    Empty,
    /// A weight is not a positive number.
    #[error("the weight of source {source_number} is {found}, expected a positive number")]
    Weight {
        /// The number of the source.
        source_number: usize,
        /// Its weight.
        found: f64,
    },
    /// A source would not have one sample in a block.
    #[error(
        "source {source_number} has {found:e} of all samples, expected at least one in {BLOCK}"
    )]
    Share {
        /// The number of the source.
        source_number: usize,
        /// Its share of the samples.
        found: f64,
    },
}

/// The sources of a mixture, drawn by weight.
///
/// The stream of samples is cut into blocks of 65,536. In each block every source has the same
/// number of samples, its quota: its share of the block, rounded. A keyed permutation of the block
/// says which samples those are. So both the source of a sample and how many samples its source
/// had before follow from the number of the sample alone.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// The first place of each source in a block, in the order before the permutation.
    starts: Vec<u64>,
    seed: u64,
    block: Option<(u64, Permutation)>,
}

impl Mixture {
    /// Makes a mixture of sources with these weights.
    ///
    /// # Errors
    ///
    /// There are no weights, one is not a positive number, or one is below 1/65,536 of their sum.
    pub fn new(weights: &[f64], seed: u64) -> Result<Self, MixtureError> {
        let quotas = quotas(weights)?;
        let mut next = 0;
        let starts = quotas.iter().map(|quota| {
            next += quota;
            next - quota
        });
        Ok(Self { starts: starts.collect(), seed, block: None })
    }

    /// Returns the source of a sample, and how many samples its source has before: in earlier
    /// blocks, and in this block in the order of the quota.
    pub fn at(&mut self, sample: u64) -> (usize, u64) {
        let (number, within) = (sample / BLOCK, sample % BLOCK);
        let seed = self.seed ^ KEY;
        let known = self.block.take().filter(|(block, _)| *block == number);
        let (_, order) = self
            .block
            .insert(known.unwrap_or_else(|| (number, Permutation::new(BLOCK, seed, number))));
        let place = order.at(within);
        let source = self.starts.partition_point(|&start| start <= place) - 1;
        (source, number * self.quota(source) + place - self.starts[source])
    }

    /// Returns how many samples of a block a source has.
    fn quota(&self, source: usize) -> u64 {
        self.starts.get(source + 1).copied().unwrap_or(BLOCK) - self.starts[source]
    }
}

/// Returns how many samples of a block each source has: its share, rounded down, and one more for
/// those that lose most by it.
fn quotas(weights: &[f64]) -> Result<Vec<u64>, MixtureError> {
    if weights.is_empty() {
        return Err(MixtureError::Empty);
    }
    for (source_number, &found) in weights.iter().enumerate() {
        if !(found.is_finite() && found > 0.0) {
            return Err(MixtureError::Weight { source_number, found });
        }
    }
    let total: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|weight| weight / total * BLOCK as f64).collect();
    let mut quotas: Vec<u64> = exact.iter().map(|&share| floor(share)).collect();
    if let Some(source_number) = quotas.iter().position(|&quota| quota == 0) {
        let found = weights[source_number] / total;
        return Err(MixtureError::Share { source_number, found });
    }
    let mut by_loss: Vec<usize> = (0..weights.len()).collect();
    by_loss.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let given: u64 = quotas.iter().sum();
    let left: usize = narrow(BLOCK - given.min(BLOCK));
    for &source in by_loss.iter().take(left) {
        quotas[source] += 1;
    }
    Ok(quotas)
}

/// Rounds a share of a block down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is between 0 and the length of a block"
)]
fn floor(share: f64) -> u64 {
    share as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quotas_fill_a_block(weights in proptest::collection::vec(0.01..100.0_f64, 1..9)) {
            let quotas = quotas(&weights).unwrap();

            prop_assert_eq!(quotas.iter().sum::<u64>(), BLOCK);
            let total: f64 = weights.iter().sum();
            for (quota, weight) in quotas.iter().zip(&weights) {
                prop_assert!((*quota as f64 - weight / total * BLOCK as f64).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn every_draw_of_every_source_comes_once() {
        let mut mixture = Mixture::new(&[3.0, 1.0, 0.5], 7).unwrap();

        let drawn: BTreeSet<(usize, u64)> = (0..2 * BLOCK).map(|n| mixture.at(n)).collect();

        assert_eq!(drawn.len() as u64, 2 * BLOCK);
        for source in 0..3 {
            let quota = mixture.quota(source);
            assert!((0..2 * quota).all(|draw| drawn.contains(&(source, draw))), "source {source}");
        }
    }

    #[test]
    fn the_first_samples_have_the_shares_of_all() {
        let mut mixture = Mixture::new(&[3.0, 1.0], 1005).unwrap();

        let first = (0..4000).filter(|&n| mixture.at(n).0 == 0).count();

        assert!((2900..3100).contains(&first), "{first} of 4000");
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        let refused = |weights: &[f64]| Mixture::new(weights, 0).unwrap_err();

        assert_eq!(refused(&[]), MixtureError::Empty);
        assert!(matches!(refused(&[1.0, -1.0]), MixtureError::Weight { source_number: 1, .. }));
        assert!(matches!(refused(&[1.0, f64::NAN]), MixtureError::Weight { .. }));
        assert!(matches!(refused(&[1.0, 1e-9]), MixtureError::Share { source_number: 1, .. }));
    }
}

//! The order in which the rows of one source or of a mixture are drawn.

use super::mixture::{Mixture, MixtureError};
use super::permutation::Permutation;

/// A row of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draw {
    /// The number of the source.
    pub source: usize,
    /// The number of the row in it.
    pub row: u64,
}

/// The rows of sources as one endless stream of samples.
///
/// The row of a sample depends on the fields here and on the number of the sample alone. So a
/// position in the stream is one number, whatever the number of readers.
#[derive(Clone, Debug)]
pub struct RowOrder {
    sources: Vec<SourceOrder>,
    mixture: Option<Mixture>, // none: one source
    seed: u64,
    shuffled: bool,
}

#[derive(Clone, Debug)]
struct SourceOrder {
    rows: u64,
    epoch: Option<(u64, Permutation)>,
}

impl RowOrder {
    /// Makes the order of sources with these numbers of rows and weights. Shuffled, every row comes
    /// once in an epoch of its source, in an order of its own; otherwise in the order on disk.
    ///
    /// # Errors
    ///
    /// The weights make no mixture.
    ///
    /// # Panics
    ///
    /// A source has no rows, or there is not one weight for each source.
    pub fn new(
        rows: &[u64],
        weights: &[f64],
        seed: u64,
        shuffled: bool,
    ) -> Result<Self, MixtureError> {
        assert!(rows.len() == weights.len(), "{} sources, {} weights", rows.len(), weights.len());
        assert!(rows.iter().all(|&rows| rows > 0), "a source has no rows");
        let mixture = Mixture::new(weights, seed)?;
        let sources = rows.iter().map(|&rows| SourceOrder { rows, epoch: None }).collect();
        Ok(Self { sources, mixture: (rows.len() > 1).then_some(mixture), seed, shuffled })
    }

    /// Returns how many rows all sources have together.
    pub fn num_rows(&self) -> u64 {
        self.sources.iter().map(|source| source.rows).sum()
    }

    /// Returns the row of a sample, counted from 0 over all epochs.
    pub fn at(&mut self, sample: u64) -> Draw {
        let (source, draw) = match &mut self.mixture {
            Some(mixture) => mixture.at(sample),
            None => (0, sample),
        };
        let SourceOrder { rows, epoch } = &mut self.sources[source];
        let (number, within) = (draw / *rows, draw % *rows);
        if !self.shuffled {
            return Draw { source, row: within };
        }
        if !matches!(epoch, Some((known, _)) if *known == number) {
            *epoch = None;
        }
        let (_, order) =
            epoch.get_or_insert_with(|| (number, Permutation::new(*rows, self.seed, number)));
        Draw { source, row: order.at(within) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(order: &mut RowOrder, samples: std::ops::Range<u64>) -> Vec<Draw> {
        samples.map(|sample| order.at(sample)).collect()
    }

    #[test]
    fn a_sample_does_not_depend_on_those_before() {
        let new = || RowOrder::new(&[50, 900], &[1.0, 2.0], 3, true).unwrap();
        let all = drawn(&mut new(), 0..200_000);

        for sample in [0, 1, 65_535, 65_536, 131_071, 199_999_u64] {
            assert_eq!(new().at(sample), all[usize::try_from(sample).unwrap()]);
        }
    }

    #[test]
    fn one_shuffled_source_gives_each_row_once_an_epoch() {
        let mut order = RowOrder::new(&[777], &[2.0], 3, true).unwrap();
        for epoch in 0..3 {
            let mut rows: Vec<u64> =
                drawn(&mut order, epoch * 777..(epoch + 1) * 777).iter().map(|d| d.row).collect();
            rows.sort_unstable();

            assert_eq!(rows, (0..777).collect::<Vec<_>>());
        }
    }

    #[test]
    fn without_a_shuffle_rows_come_in_the_order_on_disk() {
        let mut order = RowOrder::new(&[3], &[1.0], 3, false).unwrap();

        let rows: Vec<u64> = drawn(&mut order, 0..7).iter().map(|draw| draw.row).collect();

        assert_eq!(rows, [0, 1, 2, 0, 1, 2, 0]);
    }
}

//! The lengths of documents: exact percentiles in bounded memory.

/// Lengths below this have a counter each; longer ones are rare, and are stored.
const COUNTED: usize = 1 << 16;

/// A collection of lengths, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    counts: Vec<u64>,
    long: Vec<u64>,
    sum: u64,
}

impl Lengths {
    pub(crate) fn add(&mut self, len: u64) {
        self.sum += len;
        match usize::try_from(len) {
            Ok(len) if len < COUNTED => {
                if len >= self.counts.len() {
                    self.counts.resize(len + 1, 0);
                }
                self.counts[len] += 1;
            }
            _ => self.long.push(len),
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.long.extend(other.long);
        self.long.sort_unstable();
        self.sum += other.sum;
    }

    /// Returns how many lengths there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.long.len() as u64
    }

    /// Returns their mean.
    pub(crate) fn mean(&self) -> f64 {
        let count = self.count();
        if count == 0 { 0.0 } else { self.sum as f64 / count as f64 }
    }

    /// Returns the length that a share of the documents does not exceed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub(crate) fn percentile(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = ((count as f64 * share).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (len, &times) in (0..).zip(&self.counts) {
            seen += times;
            if seen >= rank {
                return len;
            }
        }
        let beyond = usize::try_from(rank - seen).unwrap_or(1).saturating_sub(1);
        self.long.get(beyond).copied().unwrap_or(0)
    }

    /// Returns how many lengths are in each power of two: `(from, below, count)`.
    pub(crate) fn by_powers(&self) -> Vec<(u64, u64, u64)> {
        let mut bins: Vec<u64> = Vec::new();
        let mut put = |len: u64, times: u64| {
            let power = (u64::BITS - len.leading_zeros()) as usize;
            if power >= bins.len() {
                bins.resize(power + 1, 0);
            }
            bins[power] += times;
        };
        for (len, &times) in (0..).zip(&self.counts) {
            if times > 0 {
                put(len, times);
            }
        }
        for &len in &self.long {
            put(len, 1);
        }
        let first = bins.iter().position(|&count| count > 0).unwrap_or(0);
        let from = |power: usize| if power == 0 { 0 } else { 1 << (power - 1) };
        (first..bins.len()).map(|power| (from(power), 1 << power, bins[power])).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_lengths(
            left in proptest::collection::vec(0..200_000_u64, 1..60),
            right in proptest::collection::vec(0..90_u64, 0..60),
            share in 0.01..1.0_f64,
        ) {
            let (mut lengths, mut other) = (Lengths::default(), Lengths::default());
            for &len in &left {
                lengths.add(len);
            }
            for &len in &right {
                other.add(len);
            }
            lengths.join(other);
            let mut all = [left, right].concat();
            all.sort_unstable();

            let found = lengths.percentile(share);

            // It is the least length that so large a share does not exceed.
            let wanted = all.len() as f64 * share;
            let up_to = |len: u64| all.iter().filter(|&&other| other <= len).count() as f64;
            prop_assert!(all.contains(&found) && up_to(found) >= wanted);
            prop_assert!(found == 0 || up_to(found - 1) < wanted);
            prop_assert_eq!(lengths.count(), all.len() as u64);
            let powers = lengths.by_powers();
            prop_assert_eq!(powers.iter().map(|bin| bin.2).sum::<u64>(), all.len() as u64);
        }
    }
}

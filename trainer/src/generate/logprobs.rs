//! The log-probabilities of tokens, from the logits of one position.

use ratdata_schemas::{TokenId, TokenLogprob};

use crate::convert::narrow;

/// The log-probabilities of one position.
///
/// They are computed in `f64`, so that tokens with different logits get different numbers: a reader
/// that compares a token's number with the highest one finds out whether it is the most likely token.
#[derive(Clone, Copy, Debug)]
pub struct Logprobs<'a> {
    logits: &'a [f32],
    /// The logarithm of the sum of the exponentials of all logits.
    log_sum: f64,
}

impl<'a> Logprobs<'a> {
    /// Takes the logits of one position; none where one is not finite, or where there is none.
    pub fn new(logits: &'a [f32]) -> Option<Self> {
        let highest = logits.iter().copied().reduce(f32::max)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let highest = f64::from(highest);
        let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - highest).exp()).sum();
        Some(Self { logits, log_sum: highest + sum.ln() })
    }

    /// Returns the log-probability of a token of the vocabulary.
    pub fn of(&self, token: TokenId) -> f64 {
        f64::from(self.logits[token as usize]) - self.log_sum
    }

    /// Returns the most likely tokens, most likely first, and of equal ones the lowest id first.
    pub fn top(&self, count: usize) -> Vec<(TokenId, f64)> {
        let mut best: Vec<usize> = Vec::with_capacity(count.min(self.logits.len()) + 1);
        for (id, logit) in self.logits.iter().enumerate() {
            let is_full = best.len() >= count;
            if is_full && best.last().is_none_or(|&last| *logit <= self.logits[last]) {
                continue;
            }
            let place = best.partition_point(|&other| self.logits[other] >= *logit);
            best.insert(place, id);
            best.truncate(count);
        }
        best.into_iter().map(|id| narrow(id)).map(|id| (id, self.of(id))).collect()
    }

    /// Returns what is reported of a token.
    pub fn report(&self, token: TokenId, top: usize) -> TokenLogprob {
        TokenLogprob { token, logprob: self.of(token), top: self.top(top) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let logits = [1.0, -3.0, 2.5, 400.0, 399.0];
        let logprobs = Logprobs::new(&logits).unwrap();

        let sum: f64 = (0..5).map(|id| logprobs.of(id).exp()).sum();

        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert!((logprobs.of(3) - -0.313_261_687_518_222_9).abs() < 1e-9, "{}", logprobs.of(3));
        assert!(Logprobs::new(&[1.0, f32::NAN]).is_none() && Logprobs::new(&[]).is_none());
    }

    #[test]
    fn the_best_token_has_the_same_number_in_the_map() {
        let logits = [0.5, 2.0, 2.0, -1.0];
        let logprobs = Logprobs::new(&logits).unwrap();

        let found = logprobs.report(1, 1);
        let other = logprobs.report(0, 1);

        assert_eq!(found.top, [(1, found.logprob)]);
        assert_eq!((other.top[0].0, other.logprob < other.top[0].1), (1, true));
    }

    proptest! {
        /// The most likely tokens are those that a stable sort puts first.
        #[test]
        fn the_top_is_a_sort(
            logits in prop::collection::vec((-4..4_i8).prop_map(f32::from), 1..30),
            count in 0..8_usize,
        ) {
            let logprobs = Logprobs::new(&logits).unwrap();
            let mut sorted: Vec<usize> = (0..logits.len()).collect();
            sorted.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            sorted.truncate(count);

            let found: Vec<usize> = logprobs.top(count).iter().map(|&(id, _)| id as usize).collect();

            prop_assert_eq!(found, sorted);
        }
    }
}

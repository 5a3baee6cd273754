//! The next token of one request: greedy, or drawn at random.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use ratdata_schemas::{Sampling, TokenId};

use crate::convert::narrow;
use ratdata_schemas::draw::{SplitMix64, finalize};

/// Chooses the tokens of one request.
#[derive(Clone, Debug)]
pub struct Chooser {
    sampling: Sampling,
    /// The tokens that were generated, which the repetition penalty is for.
    generated: BTreeSet<TokenId>,
    random: SplitMix64,
}

impl Chooser {
    /// Makes a chooser that has chosen nothing.
    pub fn new(sampling: Sampling) -> Self {
        // Streams begin far apart, because the finalizer mixes all bits.
        let random = SplitMix64::new(finalize(sampling.seed ^ finalize(sampling.stream)));
        Self { sampling, generated: BTreeSet::new(), random }
    }

    /// Chooses a token; none where a logit is not finite.
    pub fn choose(&mut self, logits: &[f32]) -> Option<TokenId> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        if self.takes_best() {
            return Some(best(logits));
        }
        let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        self.penalize(&mut logits);
        let id = if self.sampling.temperature > 0.0 { self.draw(&logits) } else { best(&logits) };
        self.generated.insert(id);
        Some(id)
    }

    /// Returns whether the most likely token is taken, whatever was generated before.
    pub fn takes_best(&self) -> bool {
        let Sampling { temperature, repetition_penalty, .. } = self.sampling;
        temperature <= 0.0 && repetition_penalty.to_bits() == 1.0_f64.to_bits()
    }

    /// Makes each generated token less likely, once.
    fn penalize(&self, logits: &mut [f64]) {
        let penalty = self.sampling.repetition_penalty;
        for &id in &self.generated {
            let logit = &mut logits[id as usize];
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }

    fn draw(&mut self, logits: &[f64]) -> TokenId {
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        let highest = logits.iter().copied().fold(f64::MIN, f64::max);
        let weight = |id: usize| ((logits[id] - highest) / temperature).exp();
        let mut likely = MostLikely::new(logits, if top_k > 0 { top_k } else { logits.len() });
        if top_p < 1.0 {
            let total: f64 = likely.ids.iter().map(|&id| weight(id)).sum();
            let (mut kept, mut sum) = (0, 0.0);
            while kept < likely.ids.len() && (kept == 0 || sum < top_p * total) {
                sum += weight(likely.nth(kept));
                kept += 1;
            }
            likely.ids.truncate(kept);
        }
        // The order of the ids decides no probability.
        let weights: Vec<f64> = likely.ids.iter().map(|&id| weight(id)).collect();
        let mut left = self.random.uniform() * weights.iter().sum::<f64>();
        for (&id, weight) in likely.ids.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return narrow(id);
            }
        }
        narrow(likely.ids[likely.ids.len() - 1])
    }
}

/// The ids of the most likely tokens, which are sorted when they are asked for: most likely first, and of
/// equal ones the lowest id first.
struct MostLikely<'a> {
    logits: &'a [f64],
    ids: Vec<usize>,
    /// How many of the first ids are in order; the others are less likely.
    sorted: usize,
}

impl<'a> MostLikely<'a> {
    /// How many ids are sorted at first, and how many times as many later.
    const FIRST: usize = 64;
    const TIMES: usize = 4;

    /// Takes so many of the most likely tokens.
    fn new(logits: &'a [f64], count: usize) -> Self {
        let mut likely = Self { logits, ids: (0..logits.len()).collect(), sorted: 0 };
        if count < logits.len() {
            likely.part(count);
            likely.ids.truncate(count);
        }
        likely
    }

    /// Returns the `n`-th most likely token.
    fn nth(&mut self, n: usize) -> usize {
        while self.sorted <= n {
            let end = (self.sorted * Self::TIMES).max(Self::FIRST).min(self.ids.len());
            self.part(end);
            let logits = self.logits;
            self.ids[self.sorted..end].sort_unstable_by(|&a, &b| order(logits, a, b));
            self.sorted = end;
        }
        self.ids[n]
    }

    /// Moves the most likely tokens before a place, and all others after it.
    fn part(&mut self, place: usize) {
        let (logits, unsorted) = (self.logits, &mut self.ids[self.sorted..]);
        if place - self.sorted < unsorted.len() {
            unsorted.select_nth_unstable_by(place - self.sorted, |&a, &b| order(logits, a, b));
        }
    }
}

/// Compares two tokens: the more likely one first, of equal ones that with the lower id.
fn order(logits: &[f64], a: usize, b: usize) -> Ordering {
    logits[b].total_cmp(&logits[a]).then(a.cmp(&b))
}

/// Returns the id of the highest logit, and of several the lowest.
fn best<T: PartialOrd>(logits: &[T]) -> TokenId {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    narrow(best)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(sampling: Sampling, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        for stream in 0..draws {
            let mut chooser = Chooser::new(Sampling { stream: stream as u64, ..sampling });
            counts[chooser.choose(logits).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn of_equal_logits_the_lowest_id_is_taken() {
        let mut greedy = Chooser::new(Sampling::default());

        assert_eq!(greedy.choose(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(greedy.choose(&[1.0, f32::NAN, 3.0]), None);
    }

    #[test]
    fn a_generated_token_is_penalized_once_and_the_prompt_is_not() {
        let sampling = Sampling { repetition_penalty: 1.2, ..Sampling::default() };
        let mut chooser = Chooser::new(sampling);
        for id in [3_u32, 1, 3] {
            let mut logits = [0.0; 4];
            logits[id as usize] = 9.0;
            assert_eq!(chooser.choose(&logits), Some(id));
        }
        let mut logits = [2.0, -1.0, 0.5, 3.0];

        chooser.penalize(&mut logits);

        let expected = [2.0, -1.2, 0.5, 2.5];
        assert!(logits.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{logits:?}");
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0, 2.0_f32.ln(), 4.0_f32.ln(), f32::MIN];
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };

        let counts = drawn(sampling, &logits, 7000);

        for (count, expected) in counts.iter().zip([1000.0, 2000.0, 4000.0, 0.0]) {
            assert!((*count as f64 - expected).abs() < 150.0, "{counts:?}");
        }
        assert_eq!(counts, drawn(sampling, &logits, 7000));
        assert_ne!(counts, drawn(Sampling { seed: 1, ..sampling }, &logits, 7000));
    }

    proptest! {
        /// Whatever is asked for, and in which pieces: the ids are those of a stable sort.
        #[test]
        fn the_most_likely_tokens_are_those_of_a_sort(
            logits in prop::collection::vec((-40..40_i8).prop_map(f64::from), 1..700),
            count in 1..700_usize,
            asked in prop::collection::vec(0..700_usize, 0..6),
        ) {
            let mut sorted: Vec<usize> = (0..logits.len()).collect();
            sorted.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            sorted.truncate(count);
            let mut likely = MostLikely::new(&logits, count);

            for n in asked {
                if n < sorted.len() {
                    prop_assert_eq!(likely.nth(n), sorted[n]);
                }
            }
            let mut left = likely.ids.clone();
            left.sort_unstable_by(|&a, &b| order(&logits, a, b));
            prop_assert_eq!(left, sorted);
        }
    }

    #[test]
    fn only_likely_tokens_are_considered() {
        let logits = [0.0, 2.0_f32.ln(), 4.0_f32.ln(), 0.0];
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };

        let by_k = drawn(Sampling { top_k: 2, ..sampling }, &logits, 200);
        let by_p = drawn(Sampling { top_p: 0.5, ..sampling }, &logits, 200);
        let cold = drawn(Sampling { temperature: 1e-3, ..sampling }, &logits, 200);

        assert!(by_k[0] == 0 && by_k[3] == 0 && by_k[1] > 0, "{by_k:?}");
        assert_eq!((by_p, cold), (vec![0, 0, 200, 0], vec![0, 0, 200, 0]));
    }
}

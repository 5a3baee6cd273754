//! The plan of a mix: what each source gives, how often, and what is missing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::draw::MixOrder;
use ratdata_schemas::recipe::{Amount, Take};
use ratdata_schemas::{Manifest, PlainName};
use serde::Serialize;

use super::documents::Documents;
use super::error::{MixError, TooSmall};

/// How many documents are counted between two looks at the interrupt flag.
const BETWEEN_LOOKS: u64 = 1 << 16;

/// What a mix takes of its sources; known before anything is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixPlan {
    /// The split that is mixed.
    pub split: PlainName,
    /// The seed of the order.
    pub seed: u64,
    /// How many documents all sources give.
    pub documents: u64,
    /// How many tokens these have.
    pub tokens: u64,
    /// How often a document may come where its source was not asked for epochs.
    pub max_epochs: f64,
    /// The amount that was asked for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
    /// The sources, in the order in which they were named.
    pub sources: Vec<PlannedSource>,
}

/// What one source gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSource {
    /// Where the artifact is, as the user named it.
    pub path: PathBuf,
    /// What was asked for, such as `weight=0.7`.
    pub take: String,
    /// How many documents the split has.
    pub there_documents: u64,
    /// How many tokens it has.
    pub there_tokens: u64,
    /// How many documents it gives; more than there are if some come again.
    pub documents: u64,
    /// How many tokens these have.
    pub tokens: u64,
    /// The tokens that it gives of all that the mix has, from 0 to 1.
    pub weight: f64,
    /// How often each of its tokens comes, on average.
    pub epochs: f64,
    /// What it was asked for and has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Amount>,
    /// Its token bins, one after the other.
    pub bins: Vec<PathBuf>,
}

impl MixPlan {
    /// Checks that every source has what it is asked for.
    ///
    /// # Errors
    ///
    /// [`MixError::TooSmall`] names all that have not.
    pub fn check(&self) -> Result<(), MixError> {
        let small = |source: &PlannedSource| {
            let (unit, missing, there) = match source.missing? {
                Amount::Documents(missing) => ("documents", missing, source.there_documents),
                Amount::Tokens(missing) | Amount::Bytes(missing) => {
                    ("tokens", missing, source.there_tokens)
                }
            };
            let asked = most(there, self.max_epochs).saturating_add(missing);
            let (path, max_epochs) = (source.path.clone(), self.max_epochs);
            Some(TooSmall { path, unit, asked, there, max_epochs, missing })
        };
        let sources: Vec<TooSmall> = self.sources.iter().filter_map(small).collect();
        if sources.is_empty() { Ok(()) } else { Err(MixError::TooSmall { sources }) }
    }
}

/// What a source gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) documents: u64,
    pub(super) tokens: u64,
    /// What is missing, in the unit that was asked for.
    pub(super) missing: Option<Amount>,
}

/// One source as it is counted.
pub(super) struct Counted<'a> {
    pub(super) path: &'a PathBuf,
    pub(super) take: Take,
    pub(super) manifest: &'a Manifest,
    /// Of the split that is mixed.
    pub(super) documents: &'a Documents<'a>,
    /// The tokens of all splits, which the recorded text became.
    pub(super) all_tokens: u64,
}

/// How amounts become documents.
pub(super) struct Budget<'a> {
    pub(super) sources: &'a [Counted<'a>],
    /// The order of each source's documents.
    pub(super) order: &'a MixOrder,
    pub(super) total: Option<Amount>,
    pub(super) max_epochs: f64,
    pub(super) stop: &'a AtomicBool,
}

impl Budget<'_> {
    /// Returns what each source gives: those without a weight first, then those that share the rest.
    pub(super) fn given(&self) -> Result<Vec<Given>, MixError> {
        let mut given = vec![Given::default(); self.sources.len()];
        for (number, source) in self.sources.iter().enumerate() {
            given[number] = match (source.take, source.take.amount()) {
                (Take::Epochs(epochs), _) => self.epochs(number, epochs)?,
                (_, Some(amount)) => self.amount(number, amount)?,
                _ => continue,
            };
        }
        let weighted: Vec<(usize, f64)> = self
            .sources
            .iter()
            .enumerate()
            .filter_map(|(number, source)| Some((number, source.take.weight()?)))
            .collect();
        let amounts = match self.total {
            Some(total) => self.shares_of(total, &weighted, &given)?,
            None => self.largest(&weighted),
        };
        for ((number, _), amount) in weighted.iter().zip(amounts) {
            given[*number] = self.amount(*number, amount)?;
        }
        Ok(given)
    }

    /// Returns the shares of what is left of a total.
    fn shares_of(
        &self,
        total: Amount,
        weighted: &[(usize, f64)],
        given: &[Given],
    ) -> Result<Vec<Amount>, MixError> {
        let mut fixed = 0_u64;
        for (number, given) in given.iter().enumerate() {
            let own = match total {
                Amount::Tokens(_) => given.tokens,
                Amount::Documents(_) => given.documents,
                Amount::Bytes(_) if given.tokens == 0 => 0,
                Amount::Bytes(_) => self.bytes_of(number, given.tokens)?,
            };
            fixed = fixed.checked_add(own).ok_or(MixError::TooMany)?;
        }
        let (count, unit) = match total {
            Amount::Tokens(count) => (count, "tokens"),
            Amount::Documents(count) => (count, "documents"),
            Amount::Bytes(count) => (count, "bytes of text"),
        };
        if weighted.is_empty() {
            return Err(MixError::NoWeight { total: count, unit, fixed });
        }
        let rest = count.checked_sub(fixed).filter(|&rest| rest > 0);
        let rest = rest.ok_or(MixError::OverTotal { total: count, unit, fixed })?;
        let weights: Vec<f64> = weighted.iter().map(|(_, weight)| *weight).collect();
        let amount = |share| match total {
            Amount::Tokens(_) => Amount::Tokens(share),
            Amount::Documents(_) => Amount::Documents(share),
            Amount::Bytes(_) => Amount::Bytes(share),
        };
        Ok(spread(rest, &weights).into_iter().map(amount).collect())
    }

    /// Returns the largest amounts with the ratios of the weights that no source is too small for.
    fn largest(&self, weighted: &[(usize, f64)]) -> Vec<Amount> {
        let most = |number: usize| most(self.sources[number].documents.tokens(), self.max_epochs);
        let each = weighted.iter().map(|&(number, weight)| most(number) as f64 / weight);
        let factor = each.fold(f64::MAX, f64::min);
        let amount = |&(number, weight): &(usize, f64)| {
            Amount::Tokens(floor(factor * weight).clamp(1, most(number)))
        };
        weighted.iter().map(amount).collect()
    }

    /// Returns what a source gives that is asked for epochs.
    fn epochs(&self, number: usize, epochs: f64) -> Result<Given, MixError> {
        let len = self.sources[number].documents.len();
        let whole = floor(epochs);
        let part = floor(((epochs - epochs.floor()) * len as f64).round()).min(len);
        let documents = whole.checked_mul(len).and_then(|count| count.checked_add(part));
        // Of so little that it is no document, there is one.
        self.of_documents(number, documents.ok_or(MixError::TooMany)?.max(1))
    }

    /// Returns what a source gives of an amount, as far as it has that.
    fn amount(&self, number: usize, amount: Amount) -> Result<Given, MixError> {
        let documents = self.sources[number].documents;
        match amount {
            Amount::Documents(count) => {
                let most = most(documents.len(), self.max_epochs);
                let given = self.of_documents(number, count.min(most))?;
                let missing = count.checked_sub(most).filter(|&missing| missing > 0);
                Ok(Given { missing: missing.map(Amount::Documents), ..given })
            }
            Amount::Tokens(count) => {
                let most = most(documents.tokens(), self.max_epochs);
                let given = self.of_tokens(number, count.min(most))?;
                let missing = count.checked_sub(most).filter(|&missing| missing > 0);
                Ok(Given { missing: missing.map(Amount::Tokens), ..given })
            }
            Amount::Bytes(count) => {
                let (tokens, bytes) = self.ratio(number)?;
                let wanted = (u128::from(count) * u128::from(tokens)).div_ceil(u128::from(bytes));
                let wanted = u64::try_from(wanted).map_err(|_| MixError::TooMany)?;
                self.amount(number, Amount::Tokens(wanted.max(1)))
            }
        }
    }

    /// Returns how many tokens so many bytes of text became.
    fn ratio(&self, number: usize) -> Result<(u64, u64), MixError> {
        let source = &self.sources[number];
        let bytes = source.manifest.text_bytes().filter(|_| source.all_tokens > 0);
        let bytes = bytes.ok_or_else(|| MixError::NoText { path: source.path.clone() })?;
        Ok((source.all_tokens, bytes))
    }

    fn bytes_of(&self, number: usize, tokens: u64) -> Result<u64, MixError> {
        let (all, bytes) = self.ratio(number)?;
        let bytes = u128::from(tokens) * u128::from(bytes) / u128::from(all);
        u64::try_from(bytes).map_err(|_| MixError::TooMany)
    }

    /// Returns the documents that have so many tokens: all, as often as they fit, and then the first ones
    /// of the next epoch.
    fn of_tokens(&self, number: usize, count: u64) -> Result<Given, MixError> {
        let documents = self.sources[number].documents;
        let (whole, rest) = (count / documents.tokens(), count % documents.tokens());
        let first = self.first_of(number, whole, |given| given.tokens >= rest)?;
        self.with_epochs(number, whole, first)
    }

    fn of_documents(&self, number: usize, count: u64) -> Result<Given, MixError> {
        let len = self.sources[number].documents.len();
        let (whole, rest) = (count / len, count % len);
        let first = self.first_of(number, whole, |given| given.documents >= rest)?;
        self.with_epochs(number, whole, first)
    }

    fn with_epochs(&self, number: usize, whole: u64, first: Given) -> Result<Given, MixError> {
        let documents = self.sources[number].documents;
        let all = |each: u64, more: u64| whole.checked_mul(each)?.checked_add(more);
        let documents_given = all(documents.len(), first.documents).ok_or(MixError::TooMany)?;
        let tokens = all(documents.tokens(), first.tokens).ok_or(MixError::TooMany)?;
        Ok(Given { documents: documents_given, tokens, missing: None })
    }

    /// Counts the first documents of an epoch until they are enough.
    fn first_of(
        &self,
        number: usize,
        epoch: u64,
        enough: impl Fn(&Given) -> bool,
    ) -> Result<Given, MixError> {
        let documents = self.sources[number].documents;
        let order = self.order.epoch(number, epoch);
        let mut given = Given::default();
        while !enough(&given) && given.documents < documents.len() {
            if given.documents.is_multiple_of(BETWEEN_LOOKS) && self.stop.load(Ordering::Relaxed) {
                return Err(MixError::Interrupted);
            }
            given.tokens += documents.tokens_of(order.at(given.documents));
            given.documents += 1;
        }
        Ok(given)
    }
}

/// Returns how many of so many there are when each comes `epochs` times: one at least.
fn most(count: u64, epochs: f64) -> u64 {
    floor(count as f64 * epochs).max(1)
}

/// Divides a number by weights, so that the parts add up to it.
fn spread(whole: u64, weights: &[f64]) -> Vec<u64> {
    let total: f64 = weights.iter().sum();
    let (mut before, mut sum) = (0, 0.0);
    let last = weights.len().saturating_sub(1);
    let part = |(number, weight): (usize, &f64)| {
        sum += weight;
        let until =
            if number == last { whole } else { floor((whole as f64 * (sum / total)).round()) };
        let part = until.clamp(before, whole) - before;
        before += part;
        part
    };
    weights.iter().enumerate().map(part).collect()
}

/// Rounds down a number that is not negative; what is too large becomes the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts are not negative, and the conversion saturates"
)]
pub(super) fn floor(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_add_up_and_are_near_their_shares(
            whole in 1..1_000_000_u64, weights in prop::collection::vec(0.01..50.0_f64, 1..6),
        ) {
            let parts = spread(whole, &weights);

            prop_assert_eq!(parts.iter().sum::<u64>(), whole);
            let total: f64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!((*part as f64 - whole as f64 * weight / total).abs() <= 1.0);
            }
        }
    }
}

//! Traces an example of instruction data to its row, by the recorded task alone.

use std::collections::BTreeMap;

use ratdata_schemas::SourceRecord;
use ratdata_schemas::recipe::{Sft, Truncate};

use crate::order::{permutation, sample};

/// Where an example came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExampleProvenance {
    /// The place of its file in the manifest's sources.
    pub(super) source: usize,
    /// Its row among those of that file that were not left out.
    pub(super) row: u32,
    /// Which of the task's answer columns it was made with; none of a preference pair, whose split says it.
    pub(super) answer: Option<usize>,
}

/// The examples of one split, by where they came from.
#[derive(Debug)]
pub(super) struct Examples {
    /// The examples in their order in the artifact; all in the order of making where none is drawn.
    order: Option<Vec<u32>>,
    /// The rows before each source, and its place in the manifest.
    firsts: Vec<(u64, usize)>,
    rows: u64,
    answers: u64,
    is_preference: bool,
}

/// The most examples whose order is drawn again: a gigabyte of it, whatever a manifest says.
const MOST_DRAWN: u64 = 1 << 28;

impl Examples {
    /// Draws the order of a split again; `found` is how many examples the artifact has there.
    ///
    /// # Errors
    ///
    /// Says why that cannot be done: the configuration is not one of instruction data, or rows were
    /// left out for their length, which is not recorded row by row.
    pub(super) fn of(
        sft: &Sft,
        sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<Self, String> {
        // Sources are in the order in which splits were made.
        let mut before = 0;
        let mut own = None;
        for made in &sft.splits {
            let range = before..before + made.inputs.len();
            before = range.end;
            if sft.task.artifact_splits(&made.name).iter().any(|name| name == split) {
                own = Some((made, range));
            }
        }
        let (made, range) = own.ok_or_else(|| format!("its configuration has no `{split}`"))?;
        let task = sft.task.split(&made.name).map_err(|wrong| wrong.to_string())?;
        let mut firsts = Vec::new();
        let mut rows = 0_u64;
        for place in range {
            let source = sources.get(place).ok_or("its configuration names more sources")?;
            firsts.push((rows, place));
            rows = rows.saturating_add(source.rows.saturating_sub(source.bad_rows));
        }
        let answers = task.answers.len().max(1) as u64;
        let all = rows.saturating_mul(answers);
        let dropped = || "examples were left out for their length, and which ones is not recorded";
        // Of preference pairs it is counted; of other examples, only a draw hides how many there were.
        let may_be_dropped = match made.preference {
            Some(counts) => counts.left_out() > 0,
            None => sft.truncate == Truncate::Drop,
        };
        if (task.sample.is_none() && all != found) || (task.sample.is_some() && may_be_dropped) {
            return Err(dropped().into());
        }
        let drawn = task.shuffle.is_some() || task.sample.is_some();
        if drawn && all > MOST_DRAWN {
            // Where examples were sampled, nothing but the manifest says how many there were.
            return Err(format!(
                "an order is drawn of at most {MOST_DRAWN} examples, and it has {all}"
            ));
        }
        let count = u32::try_from(all).map_err(|_| "more than 4,294,967,295 examples")?;
        let mut order = task.shuffle.map(|seed| permutation(seed, count));
        if let Some(wanted) = task.sample {
            let drawn = sample(wanted.seed, count, wanted.rows).ok_or_else(dropped)?;
            order = Some(match order {
                None => drawn,
                Some(order) => drawn.into_iter().map(|place| order[place as usize]).collect(),
            });
        }
        let is_preference = made.preference.is_some();
        Ok(Self { order, firsts, rows, answers, is_preference })
    }

    /// Returns where example `number` of the split came from; none past the last.
    pub(super) fn locate(&self, number: u64) -> Option<ExampleProvenance> {
        let place = match &self.order {
            None => number,
            Some(order) => (*order.get(usize::try_from(number).ok()?)?).into(),
        };
        // All examples of the first answer column stand before those of the second.
        let (answer, row) = (place / self.rows.max(1), place % self.rows.max(1));
        if answer >= self.answers {
            return None;
        }
        let after = self.firsts.partition_point(|&(first, _)| first <= row);
        let (first, source) = *self.firsts.get(after.checked_sub(1)?)?;
        let row = u32::try_from(row - first).ok()?;
        let answer = if self.is_preference { None } else { Some(usize::try_from(answer).ok()?) };
        Some(ExampleProvenance { source, row, answer })
    }

    /// Returns how many rows of each source were not left out.
    pub(super) fn rows(&self) -> BTreeMap<usize, u64> {
        let ends = self.firsts.iter().skip(1).map(|&(first, _)| first).chain([self.rows]);
        self.firsts.iter().zip(ends).map(|(&(first, source), end)| (source, end - first)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_found_by_its_answer_column_and_row() {
        let order = Some(vec![5, 0, 3]);
        let firsts = vec![(0, 4), (2, 7)];
        let examples = Examples { order, firsts, rows: 3, answers: 2, is_preference: false };

        let found =
            |source, row, answer| Some(ExampleProvenance { source, row, answer: Some(answer) });
        assert_eq!(examples.locate(0), found(7, 0, 1));
        assert_eq!(examples.locate(1), found(4, 0, 0));
        assert_eq!(examples.locate(2), found(4, 0, 1));
        assert_eq!(examples.locate(3), None);
        assert_eq!(examples.rows(), BTreeMap::from([(4, 2), (7, 1)]));
    }
}

//! Token sequences of which only both ends are kept, and the four ways of cutting them to a row.

use ratdata_schemas::recipe::Truncate;
use ratdata_schemas::{IGNORE_INDEX, TokenId};

/// The first and the last tokens of a sequence, up to `keep` of each.
///
/// No row has more than `keep` tokens, so whichever way a sequence is cut, what a row shows of it
/// is here; a story of a million tokens takes no more memory than two rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clip {
    total: usize,
    head: Vec<TokenId>,
    tail: Vec<TokenId>,
}

impl Clip {
    /// Keeps the ends of a sequence.
    pub fn of(ids: &[TokenId], keep: usize) -> Self {
        Self {
            total: ids.len(),
            head: ids[..ids.len().min(keep)].to_vec(),
            tail: ids[ids.len().saturating_sub(keep)..].to_vec(),
        }
    }

    /// Returns how many tokens the whole sequence has.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Appends another sequence, whose ends were kept with the same `keep`.
    pub fn push(&mut self, other: &Self, keep: usize) {
        let room = keep.saturating_sub(self.head.len());
        // The head is whole as long as it has room, and only then does it take more.
        self.head.extend(other.head.iter().take(room));
        let surplus = (self.tail.len() + other.tail.len()).saturating_sub(keep);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend(&other.tail);
        self.total += other.total;
    }

    /// Returns the first and the last tokens of the sequence, as many as are asked for and were kept.
    pub(super) fn ends(&self, first: usize, last: usize) -> Vec<TokenId> {
        let positions = (0..first).chain(self.total.saturating_sub(last)..self.total);
        positions.filter_map(|position| self.get(position)).collect()
    }

    /// Returns the token at a position of the whole sequence; none where it was not kept.
    fn get(&self, position: usize) -> Option<TokenId> {
        self.head.get(position).copied().or_else(|| {
            let first = self.total - self.tail.len();
            position.checked_sub(first).and_then(|at| self.tail.get(at).copied())
        })
    }
}

/// An example cut to its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The tokens.
    pub ids: Vec<TokenId>,
    /// Which of them are trained on; the one behind a cut is not, since nothing true precedes it.
    pub trained: Vec<bool>,
    /// How many of the ids belong to the prompt: those before the first token that is trained on.
    pub prompt_len: usize,
    /// Where the middle was cut out.
    pub cut: Option<Cut>,
    /// What the last token predicts: the id that closes the answer, or [`IGNORE_INDEX`].
    pub last_label: i32,
}

/// The place where the middle of an example was cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The position of the first token behind it.
    pub position: usize,
    /// The label that the reference gives the token in front of it: the one that was cut out.
    pub label: i32,
}

impl Example {
    /// Returns the id that the last token predicts, where that is trained on.
    pub fn closing(&self) -> Option<TokenId> {
        (self.last_label != IGNORE_INDEX).then(|| self.last_label.cast_unsigned())
    }

    /// Returns what each position predicts, shifted by one, as the reference has it.
    pub fn labels(&self) -> Vec<i32> {
        let next = self.ids.iter().zip(&self.trained).skip(1);
        let mut labels: Vec<i32> = next
            .map(|(id, &trained)| if trained { id.cast_signed() } else { IGNORE_INDEX })
            .collect();
        if !self.ids.is_empty() {
            labels.push(self.last_label);
        }
        if let Some(cut) = self.cut {
            labels[cut.position - 1] = cut.label;
        }
        labels
    }
}

/// Cuts a sequence to fewer than `limit` tokens, `limit` being at least 4.
///
/// `trained` says of each position of the whole sequence whether its token is trained on; `closing` is
/// what its last token predicts. Returns `None` where the example is dropped.
pub fn cut_to_row(
    clip: &Clip,
    trained: impl Fn(usize) -> bool,
    closing: Option<TokenId>,
    limit: usize,
    truncate: Truncate,
) -> Option<Example> {
    let total = clip.total;
    let (first, second) = if total < limit {
        (0..total, total..total)
    } else {
        let row = limit - 1;
        match truncate {
            Truncate::Middle => (0..row / 2, total - (row - row / 2)..total),
            Truncate::Left => (total - row..total, total..total),
            Truncate::Right => (0..row, total..total),
            Truncate::Drop => return None,
        }
    };
    let label_of = |position: usize| {
        let id = if position == total {
            closing
        } else {
            clip.get(position).filter(|_| trained(position))
        };
        id.map_or(IGNORE_INDEX, TokenId::cast_signed)
    };
    let last = if second.is_empty() { first.end } else { total };
    let cut =
        (!second.is_empty()).then(|| Cut { position: first.len(), label: label_of(first.end) });
    let kept = first.chain(second);
    let ids = kept.clone().map(|position| clip.get(position)).collect::<Option<Vec<_>>>()?;
    let mut flags: Vec<bool> = kept.map(&trained).collect();
    let prompt_len = flags.iter().take_while(|&&trained| !trained).count();
    if let Some(cut) = cut {
        flags[cut.position] = false;
    }
    Some(Example { ids, trained: flags, prompt_len, cut, last_label: label_of(last) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The reference's way, word for word: whole lists, cut after they were made.
    fn reference(prompt: &[TokenId], answer: &[TokenId], limit: usize) -> (Vec<u32>, Vec<i32>) {
        let mut ids = [prompt, answer].concat();
        let mut labels = vec![IGNORE_INDEX; prompt.len() - 1];
        labels.extend(answer.iter().map(|&id| id.cast_signed()));
        if ids.len() >= limit {
            let half = (limit - 1) / 2;
            let second = limit - 1 - half;
            ids = [&ids[..half], &ids[ids.len() - second..]].concat();
            labels = [&labels[..half], &labels[labels.len() - (second - 1)..]].concat();
        }
        labels.push(2);
        (ids, labels)
    }

    proptest! {
        #[test]
        fn the_middle_is_cut_as_in_the_reference(
            prompt in 1..60_u32, answer in 0..40_u32, limit in 4..50_usize, blocks in 1..4_usize,
        ) {
            let prompt: Vec<u32> = (100..100 + prompt).collect();
            let answer: Vec<u32> = (500..500 + answer).collect();
            let (ids, labels) = reference(&prompt, &answer, limit);

            let mut clip = Clip::default();
            for block in prompt.chunks(prompt.len().div_ceil(blocks)).chain([&answer[..]]) {
                clip.push(&Clip::of(block, limit), limit);
            }
            let made =
                cut_to_row(&clip, |at| at >= prompt.len(), Some(2), limit, Truncate::Middle).unwrap();

            prop_assert_eq!(&made.ids, &ids);
            prop_assert_eq!(made.labels(), labels);
        }

        #[test]
        fn the_other_ways_keep_one_end(len in 1..60_u32, limit in 4..50_usize) {
            let ids: Vec<u32> = (0..len).collect();
            let clip = Clip::of(&ids, limit);
            let cut = |truncate| cut_to_row(&clip, |_| true, None, limit, truncate);

            let kept = ids.len().min(limit - 1);
            prop_assert_eq!(cut(Truncate::Right).unwrap().ids, &ids[..kept]);
            prop_assert_eq!(cut(Truncate::Left).unwrap().ids, &ids[ids.len() - kept..]);
            prop_assert_eq!(cut(Truncate::Drop).is_some(), ids.len() < limit);
        }
    }
}

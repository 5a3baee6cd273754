//! What a training loop takes: ids as 64-bit numbers, and the next id of each as its label.

use ratdata_schemas::IGNORE_INDEX;

use crate::engine::{Kernel, Level, at_level, prefetch};

/// The bytes that a processor fetches at once.
const LINE: usize = 64;
/// How many ids are turned at once. Their last ones are in the first cache, and what is read soon comes meanwhile.
const BLOCK: usize = 128;

/// Appends all ids but the last as inputs, and the id after each of them as its label. Returns the highest id.
///
/// The label after an EOS is `IGNORE_INDEX`: nothing predicts the first token of a document. Without ids
/// nothing is appended, and the highest is the default. Meanwhile the processor fetches `soon`, the bytes of
/// what is read next.
///
/// ```
/// let (mut inputs, mut labels) = (Vec::new(), Vec::new());
/// let ids: [u16; 4] = [5, 2, 7, 6];
///
/// let highest = ratdata_tokenize::next_tokens::push_next_tokens(&ids, Some(2), &[], &mut inputs, &mut labels);
///
/// assert_eq!((inputs, labels, highest), (vec![5, 2, 7], vec![2, -100, 6], 7));
/// ```
pub fn push_next_tokens<Id: Copy + Into<i64> + Ord + Default>(
    ids: &[Id],
    eos: Option<Id>,
    soon: &[u8],
    inputs: &mut Vec<i64>,
    labels: &mut Vec<i64>,
) -> Id {
    let level = Level::of_machine().unwrap_or(Level::Plain);
    at_level(level, Push { ids, eos, soon, inputs, labels })
}

/// Asks the processor to fetch bytes that are read soon. It cannot guess the next row of a shuffled order.
#[inline]
pub fn fetch(soon: &[u8]) {
    soon.iter().step_by(LINE).for_each(prefetch);
}

struct Push<'a, Id> {
    ids: &'a [Id],
    eos: Option<Id>,
    soon: &'a [u8],
    inputs: &'a mut Vec<i64>,
    labels: &'a mut Vec<i64>,
}

impl<Id: Copy + Into<i64> + Ord + Default> Kernel for Push<'_, Id> {
    type Output = Id;

    #[expect(
        clippy::inline_always,
        reason = "a loop has the instructions of the function that it is in"
    )]
    #[inline(always)]
    fn run(self) -> Id {
        let Self { ids, eos, soon, inputs, labels } = self;
        let (Some((last, before)), Some((_, after))) = (ids.split_last(), ids.split_first()) else {
            return Id::default();
        };
        let blocks = before.chunks(BLOCK).zip(after.chunks(BLOCK));
        // A processor has few places for lines that are on their way: it waits where they are asked for all at once.
        let part = soon.len().div_ceil(blocks.len().max(1)).next_multiple_of(LINE).max(LINE);
        let mut soon = soon.chunks(part);
        let mut highest = *last;
        for (before, after) in blocks {
            fetch(soon.next().unwrap_or_default());
            inputs.extend(before.iter().map(|&id| id.into()));
            match eos {
                Some(eos) => {
                    let label = |(&id, &next): (&Id, &Id)| {
                        if id == eos { IGNORE_INDEX.into() } else { next.into() }
                    };
                    labels.extend(before.iter().zip(after).map(label));
                }
                None => labels.extend(after.iter().map(|&next| next.into())),
            }
            highest = before.iter().fold(highest, |highest, &id| highest.max(id));
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, one id after the other.
    fn plain(ids: &[u32], eos: Option<u32>) -> (Vec<i64>, Vec<i64>, u32) {
        let (mut inputs, mut labels, mut highest) = (Vec::new(), Vec::new(), 0);
        for (at, id) in ids.iter().enumerate() {
            highest = highest.max(*id);
            if let Some(next) = ids.get(at + 1) {
                inputs.push(i64::from(*id));
                labels.push(if Some(*id) == eos { -100 } else { i64::from(*next) });
            }
        }
        (inputs, labels, highest)
    }

    proptest! {
        #[test]
        fn every_level_gives_what_the_definition_gives(
            ids in proptest::collection::vec(0..40_u16, 0..300),
            eos in proptest::option::of(0..50_u16),
            wide in any::<bool>(),
            soon in 0..3_000_usize,
        ) {
            let soon = &vec![0; soon][..];
            // Ids of four bytes are above those of two.
            let above = if wide { 4_000_000_000 } else { 0 };
            let all: Vec<u32> = ids.iter().map(|id| above + u32::from(*id)).collect();
            let expected = plain(&all, eos.map(|eos| above + u32::from(eos)));

            for level in Level::available() {
                // What was there stays there.
                let (mut inputs, mut labels) = (vec![-7], vec![-7]);
                let highest = if wide {
                    let eos = eos.map(|eos| above + u32::from(eos));
                    at_level(level, Push { ids: &all, eos, soon, inputs: &mut inputs, labels: &mut labels })
                } else {
                    let (inputs, labels) = (&mut inputs, &mut labels);
                    at_level(level, Push { ids: &ids, eos, soon, inputs, labels }).into()
                };

                prop_assert_eq!((inputs[0], labels[0]), (-7, -7));
                let found = (inputs.split_off(1), labels.split_off(1), highest);
                prop_assert_eq!(&found, &expected, "{}", level);
            }
        }
    }
}

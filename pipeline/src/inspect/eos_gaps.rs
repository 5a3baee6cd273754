//! The longest run of tokens without EOS. Parts of a stream are searched separately and joined in
//! their order.

use ratdata_schemas::{TokenId, Tokens};

/// How many tokens are compared together: one comparison is enough if they have no EOS.
const TOGETHER: usize = 256;

/// The runs without EOS in a part of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// The tokens before the first EOS; all tokens if there is no EOS.
    head: u64,
    /// The tokens after the last EOS.
    tail: u64,
    /// The most tokens between two.
    inner: u64,
    /// Whether there is an EOS.
    parted: bool,
}

impl Gap {
    /// Returns the runs of this part joined with the next part.
    pub(super) fn then(self, next: Self) -> Self {
        let across = self.tail + next.head;
        match (self.parted, next.parted) {
            (false, false) => Self { head: across, tail: across, inner: 0, parted: false },
            (true, false) => Self { tail: across, ..self },
            (false, true) => Self { head: across, ..next },
            (true, true) => Self {
                head: self.head,
                tail: next.tail,
                inner: self.inner.max(next.inner).max(across),
                parted: true,
            },
        }
    }

    /// Returns the most tokens that follow each other without EOS.
    pub(super) fn longest(self) -> u64 {
        self.inner.max(self.head).max(self.tail)
    }
}

/// Finds the runs of some tokens.
pub(super) fn gap_of(tokens: Tokens<'_>, eos: TokenId) -> Gap {
    match tokens {
        // An EOS that does not fit `u16` does not occur.
        Tokens::U16(ids) => {
            u16::try_from(eos).map_or_else(|_| unparted(ids.len()), |eos| gap(ids, eos))
        }
        Tokens::U32(ids) => gap(ids, eos),
    }
}

fn unparted(len: usize) -> Gap {
    Gap { head: len as u64, tail: len as u64, inner: 0, parted: false }
}

fn gap<T: Copy + PartialEq>(ids: &[T], eos: T) -> Gap {
    let mut ends = ids.chunks(TOGETHER).enumerate().filter(|(_, few)| {
        // A sum has no early end, so the compiler compares many tokens at a time.
        few.iter().map(|&id| u32::from(id == eos)).sum::<u32>() > 0
    });
    let mut gap = unparted(ids.len());
    let mut after = 0;
    for (number, few) in &mut ends {
        for (place, _) in few.iter().enumerate().filter(|&(_, &id)| id == eos) {
            let at = number * TOGETHER + place;
            let len = (at - after) as u64;
            if gap.parted {
                gap.inner = gap.inner.max(len);
            } else {
                (gap.head, gap.parted) = (len, true);
            }
            after = at + 1;
        }
    }
    gap.tail = (ids.len() - after) as u64;
    gap
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_in_their_order_give_what_all_of_it_gives(
            ids in proptest::collection::vec(prop_oneof![20 => Just(1_u16), 1 => Just(2)], 0..2000),
            cuts in proptest::collection::vec(0..2000_usize, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(ids.len())).collect();
            cuts.extend([0, ids.len()]);
            cuts.sort_unstable();

            let parts = cuts.windows(2).map(|cut| gap_of(Tokens::U16(&ids[cut[0]..cut[1]]), 2));
            let joined = parts.fold(Gap::default(), Gap::then);

            let longest = ids.split(|&id| id == 2).map(<[u16]>::len).max().unwrap_or(0);
            prop_assert_eq!(joined.longest(), longest as u64);
        }
    }
}

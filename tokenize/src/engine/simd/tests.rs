//! Every level of this machine against the definitions of what it computes.

use proptest::prelude::*;

use super::*;

fn pair_mask_by_definition(tables: PairTables<'_>, block: &[u8], before: u8) -> PairMask {
    let mut mask = PairMask { joined: 0, beyond: 0 };
    let mut before = before;
    for (at, &byte) in block.iter().take(64).enumerate() {
        let met = tables.first[usize::from(before & 127)] & tables.second[usize::from(byte & 127)];
        mask.joined |= u64::from(met != 0) << at;
        mask.beyond |= u64::from(byte >= 128) << at;
        before = byte;
    }
    mask
}

fn class_masks_by_definition(table: &[u8; 128], block: &[u8]) -> ClassMasks {
    let mut masks = ClassMasks { classes: [0; 8], beyond: 0 };
    for (at, &byte) in block.iter().take(64).enumerate() {
        let class = table[usize::from(byte & 127)];
        for (bit, mask) in masks.classes.iter_mut().enumerate() {
            *mask |= u64::from(class >> bit & 1) << at;
        }
        masks.beyond |= u64::from(byte >= 128) << at;
    }
    masks
}

fn any_table() -> impl Strategy<Value = [u8; 128]> {
    proptest::collection::vec(any::<u8>(), 128).prop_map(|bytes| bytes.try_into().unwrap())
}

struct Double<'a>(&'a mut Lanes);

impl Kernel for Double<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "as the engine's own kernel")]
    #[inline(always)]
    fn run(self) {
        self.0.iter_mut().for_each(|lane| *lane = lane.wrapping_mul(2));
    }
}

/// The tests of one level. A machine that lacks it says so in the test's output.
macro_rules! level {
    ($name:ident) => {
        mod $name {
            use super::*;

            fn level() -> Option<Level> {
                let named = |level: &Level| level.to_string() == stringify!($name);
                // NEON runs everywhere: where the processor lacks it, with its twin.
                let level = Level::available().into_iter().chain([Level::Neon]).find(named);
                if level.is_none() {
                    eprintln!("skipped: this machine has no {}", stringify!($name));
                }
                level
            }

            proptest! {
                /// Masks of a block are those of the definition.
                #[test]
                fn masks_are_those_of_the_definition(
                    block in proptest::collection::vec(any::<u8>(), 0..70),
                    first in any_table(),
                    second in any_table(),
                    before in any::<u8>(),
                ) {
                    let Some(level) = level() else { return Ok(()) };
                    let tables = PairTables { first: &first, second: &second };

                    prop_assert_eq!(
                        pair_mask(level, tables, &block, before),
                        pair_mask_by_definition(tables, &block, before)
                    );
                    prop_assert_eq!(
                        class_masks(level, &first, &block),
                        class_masks_by_definition(&first, &block)
                    );
                }

                /// Units are found where they are, and only there.
                #[test]
                fn look_ups_find_what_a_line_has(
                    lines in proptest::collection::vec(any::<[u64; 4]>(), 4),
                    picks in proptest::collection::vec((0..4_u64, 0..6_usize), BATCH),
                ) {
                    let Some(level) = level() else { return Ok(()) };
                    let lines: Vec<Line> = lines
                        .iter()
                        .map(|&[a, b, values, c]| {
                            Line([1, 2 + a % 3, 5 + b % 3, 0, values, c, a, 0])
                        })
                        .collect();
                    let line = |at: usize| &lines[usize::try_from(picks[at].0).unwrap()].0;
                    let places: Lanes = std::array::from_fn(|at| picks[at].0);
                    let keys: Lanes = std::array::from_fn(|at| {
                        if picks[at].1 < 4 { line(at)[picks[at].1] } else { 99 }
                    });
                    let expected: Lanes = std::array::from_fn(|at| {
                        if picks[at].1 < 4 { line(at)[4 + picks[at].1] } else { 0 }
                    });
                    let mut found = [7; BATCH];

                    look_up_four(level, &lines, (&places, &keys), &mut found);

                    prop_assert_eq!(found, expected);
                    for lanes in found.as_chunks::<BLOCK>().0 {
                        let set = (0..).zip(lanes).fold(0, |set, (at, &lane)| set | u64::from(lane != 0) << at);
                        prop_assert_eq!(nonzero(level, lanes), set);
                    }
                }
            }

            proptest! {
                /// The places of a mask are those of its bits.
                #[test]
                fn places_are_those_of_the_bits(
                    mask in prop_oneof![any::<u64>(), (any::<u64>(), any::<u64>()).prop_map(|(a, b)| a & b), Just(u64::MAX)],
                    at in 0..1_u32 << 31,
                ) {
                    let Some(level) = level() else { return Ok(()) };
                    let expected: Vec<u8> = (0..64).filter(|bit| mask >> bit & 1 == 1).collect();
                    let (mut found, mut from) = ([7; BLOCK], [7; BLOCK]);

                    places(level, mask, &mut found);
                    places_from(level, mask, at, &mut from);

                    prop_assert_eq!(&found[..expected.len()], &expected);
                    let from: Vec<u32> = from[..expected.len()].iter().map(|place| place - at).collect();
                    prop_assert_eq!(from, expected.into_iter().map(u32::from).collect::<Vec<_>>());
                }
            }

            #[test]
            fn kernels_run() {
                let Some(level) = level() else { return };
                let mut lanes: Lanes = std::array::from_fn(|at| at as u64);

                run(level, Double(&mut lanes));

                assert!(lanes.iter().zip(0..).all(|(&lane, at)| lane == 2 * at));
            }
        }
    };
}

level!(plain);
#[cfg(target_arch = "x86_64")]
level!(avx2);
#[cfg(target_arch = "x86_64")]
level!(avx512);
level!(neon);

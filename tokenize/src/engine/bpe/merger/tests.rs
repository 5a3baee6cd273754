//! The ways of merging against the definition.

use proptest::prelude::*;
use ratdata_schemas::TokenId;

use super::*;
use crate::engine::bpe::definition;
use crate::engine::bpe::pairs::{Merge, PairTable};
use crate::engine::bpe::vocabulary::{Alphabet, Fallback};

/// A vocabulary over four letters: any two symbols may merge, into a new one or an old one.
fn vocabulary(merges: &[(u32, u32, u32)]) -> Bpe {
    let merges: Vec<Merge> = (0..)
        .zip(merges)
        .map(|(rank, &(left, right, becomes))| Merge { left, right, rank: rank / 2, becomes })
        .collect();
    Bpe {
        alphabet: Alphabet::of_chars(['a', 'b', 'c', 'é'].into_iter().zip(0..)),
        pairs: PairTable::new(&merges),
        fallback: Fallback::Unknown { id: 19, fused: true },
        num_ids: 20,
        whole_units: None,
    }
}

/// Merges that build pieces from pieces, as trained vocabularies do.
fn grown() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
    let pair = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    proptest::collection::vec(pair, 0..15).prop_map(|pairs| {
        (4..20)
            .zip(pairs)
            .map(|(new, (left, right))| {
                let of =
                    |index: prop::sample::Index| u32::try_from(index.index(new as usize)).unwrap();
                (of(left), of(right), new)
            })
            .collect()
    })
}

fn check(bpe: &Bpe, unit: &str) {
    let expected = definition::encode(bpe, unit);
    let mut heaped: Vec<TokenId> = Vec::new();
    Merger::default().heap(bpe, unit, &mut heaped);
    assert_eq!(heaped, expected, "{unit}, by a heap");
    let mut segments = Vec::new();
    if Repeats::default().merge(bpe, unit, (0, unit.len()), &mut segments) {
        let (mut repeated, mut last_unknown) = (Vec::<TokenId>::new(), false);
        for Segment { symbol, start, end } in segments {
            bpe.emit(symbol, &unit[start..end], &mut last_unknown, &mut repeated);
        }
        assert_eq!(repeated, expected, "{unit}, as repeats");
    }
    for level in Level::available() {
        let mut merged: Vec<TokenId> = Vec::new();
        Merger::default().encode(level, bpe, unit, &mut merged);
        assert_eq!(merged, expected, "{unit}, {level}");
    }
}

proptest! {
    /// The scan, the heap and the definition merge alike, ties of rank and all.
    #[test]
    fn scan_and_heap_agree_with_the_definition(
        merges in proptest::collection::vec((0..9_u32, 0..9_u32, 4..9_u32), 0..30),
        unit in "[abcéx]{1,24}",
    ) {
        check(&vocabulary(&merges), &unit);
    }

    /// Windows do so, too, for units of any length.
    #[test]
    fn windows_agree_with_the_definition(
        merges in proptest::collection::vec((0..9_u32, 0..9_u32, 4..9_u32), 0..30),
        unit in "[abcéx]{65,400}",
        repeated in "[abcé]{1,9}",
        times in 8..120_usize,
    ) {
        let bpe = vocabulary(&merges);
        check(&bpe, &unit);
        check(&bpe, &format!("{}{unit}", repeated.repeat(times)));
    }

    #[test]
    fn windows_agree_with_the_definition_where_pieces_grow(
        merges in grown(),
        unit in "[abcé]{65,400}",
        repeated in "[abcé]{1,9}",
        times in 8..120_usize,
    ) {
        let bpe = vocabulary(&merges);
        check(&bpe, &unit);
        check(&bpe, &format!("{}{unit}", repeated.repeat(times)));
    }
}

/// A text of few letters, each of them many times.
fn repeats() -> impl Strategy<Value = String> {
    let repeat = (prop::sample::select(&["a", "b", "c", "é", "x"]), 1..200_usize);
    proptest::collection::vec(repeat, 1..5).prop_map(|repeats| {
        repeats.into_iter().map(|(letter, times)| letter.repeat(times)).collect()
    })
}

proptest! {
    /// A letter that comes many times merges as the definition says, whatever its neighbours are.
    #[test]
    fn repeats_agree_with_the_definition(
        merges in proptest::collection::vec((0..9_u32, 0..9_u32, 4..9_u32), 0..30),
        unit in repeats(),
    ) {
        check(&vocabulary(&merges), &unit);
    }

    #[test]
    fn repeats_agree_with_the_definition_where_pieces_grow(merges in grown(), unit in repeats()) {
        check(&vocabulary(&merges), &unit);
    }
}

/// The way of repeats takes such texts, and leaves others to the heap.
#[test]
fn one_letter_merges_as_repeats_and_varied_text_does_not() {
    // Each merge twice, so that no two have the same rank.
    let merges = [(0, 0, 4), (0, 0, 4), (4, 4, 5), (4, 4, 5), (5, 5, 6), (5, 5, 6)];
    let bpe = vocabulary(&merges);
    let merge = |unit: &str| Repeats::default().merge(&bpe, unit, (0, unit.len()), &mut Vec::new());

    assert!(merge(&"a".repeat(1000)));
    assert!(merge(&format!("{}b{}", "a".repeat(333), "a".repeat(700))));
    assert!(!merge(&"ab".repeat(500)));
}

/// Merges of `a` into pieces of 2, 4, 8 … letters.
fn doubling(pieces: u32) -> Bpe {
    let merges: Vec<_> = (0..pieces)
        .map(|at| {
            (
                at.checked_sub(1).map_or(0, |at| at + 4),
                at.checked_sub(1).map_or(0, |at| at + 4),
                at + 4,
            )
        })
        .collect();
    vocabulary(&merges)
}

/// A piece longer than a window is found by a larger one.
#[test]
fn pieces_longer_than_a_window_are_merged() {
    for letters in [64, 65, 255, 1000, 1024, 5000] {
        check(&doubling(9), &"a".repeat(letters));
        check(&doubling(9), &"aaaaaaab".repeat(letters / 8));
    }
}

/// A window's work does not depend on the unit's length, nor does the memory.
#[test]
fn a_megabyte_without_a_cut_takes_as_many_steps_a_letter_as_a_short_text() {
    for pieces in [4, 9] {
        let bpe = doubling(pieces);
        for letters in [1 << 10, 1 << 16, 1 << 20] {
            let unit = "a".repeat(letters);
            let (mut merger, mut ids) = (Merger::default(), Vec::<TokenId>::new());

            merger.encode(Level::Plain, &bpe, &unit, &mut ids);

            assert_eq!(ids.len(), letters >> pieces);
            let merged = merger.windows.merged + merger.pushed;
            assert!(merged < 24 * letters, "{merged} letters and pushes for {letters}");
            assert!(merger.nodes.len() < 1 << 13, "{} nodes", merger.nodes.len());
        }
    }
}

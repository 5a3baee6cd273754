//! Where a text may be cut without changing its ids, computed from the vocabulary.
//!
//! # Why cutting is exact
//!
//! *Definition.* Two characters are *joined* if they stand side by side within some text that
//! merges can make. A place between two characters that are not joined is a *cut*.
//!
//! *Corollary 1.* No merge spans a cut: its result would hold both characters side by side.
//!
//! *Corollary 2.* So every merge happens within one *unit*, the text between two cuts, and which
//! merges are possible in a unit depends on that unit alone.
//!
//! *Corollary 3.* The order of merges within a unit is the same whether its neighbours are there
//! or not: the lowest rank first, the leftmost among equals, and merges elsewhere neither create
//! nor destroy pairs in it. So the ids of a text are the ids of its units, one after the other.
//!
//! *Corollary 4.* Cutting at fewer places than possible is as exact. That is what allows the two
//! shortcuts below: eight rectangles that cover the joined pairs of ASCII, and a bitmap of hashes
//! for the others. Both may join more pairs than the vocabulary does, never fewer.

use ratdata_schemas::narrow;

use crate::engine::bpe::vocabulary::{Alphabet, Fallback, SPACE_PIECE};
use crate::engine::mask;

/// Which neighbours may not be cut.
#[derive(Debug)]
pub(crate) struct Joins {
    /// For each ASCII character, the rectangles that it begins.
    pub(crate) first: Box<[u8; 128]>,
    /// For each ASCII character, the rectangles that it ends.
    pub(crate) second: Box<[u8; 128]>,
    /// One bit a hash of a pair with a character beyond ASCII.
    hashed: Vec<u64>,
    shift: u32,
    /// Characters of ASCII that are joined with themselves alone.
    alone: u128,
}

impl Joins {
    /// Computes the joins of a vocabulary from all texts that its merges can make; symbols below
    /// `num_ids` are ids. The characters that are `alone`, a bit each, are in no such text with others.
    pub(crate) fn new<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        cut_at_spaces: bool,
        alphabet: &Alphabet,
        fallback: &Fallback,
        num_ids: u32,
        alone: u128,
    ) -> Self {
        let mut ascii = [0_u128; 128];
        let mut others = Vec::new();
        let mut distinct = 1 << 20;
        for text in texts {
            if others.len() > 2 * distinct {
                // Long pieces repeat their pairs.
                others.sort_unstable();
                others.dedup();
                distinct = distinct.max(others.len());
            }
            let mut before = None;
            for character in text.chars().map(in_text) {
                if let Some(before) = before
                    && !(cut_at_spaces && character == ' ')
                {
                    match (ascii_place(before), ascii_place(character)) {
                        (Some(a), Some(b)) => ascii[a] |= 1 << b,
                        _ => others.push((before, character)),
                    }
                }
                before = Some(character);
            }
        }
        let mut fuses_unknown = false;
        if let (Fallback::Unknown { fused: true, .. }, Alphabet::Chars { ascii: symbols, .. }) =
            (fallback, alphabet)
        {
            // Neighbours that are no ids become one together, so they are one unit. That is so of
            // characters that the vocabulary lacks, and of those that only larger pieces have.
            fuses_unknown = true;
            let unknown =
                (0..128).filter(|&at| symbols[at] >= num_ids).fold(0_u128, |all, at| all | 1 << at);
            for (row, symbol) in ascii.iter_mut().zip(symbols.iter()) {
                if *symbol >= num_ids {
                    *row |= unknown;
                }
            }
        }
        let (first, second) = cover(&mut ascii, alone);
        others.sort_unstable();
        others.dedup();
        // With fused unknowns any two characters beyond ASCII may have to stay together.
        let bits = if fuses_unknown { 64 } else { (others.len() * 32).next_power_of_two().max(64) };
        let shift = 64 - bits.trailing_zeros();
        let mut joins = Self { first, second, hashed: vec![0; bits / 64], shift, alone };
        if fuses_unknown {
            joins.hashed.fill(u64::MAX);
        }
        for (a, b) in others {
            let bit = joins.hash(a, b);
            joins.hashed[bit / 64] |= 1 << (bit % 64);
        }
        joins
    }

    /// Returns whether the place between two neighbours may not be cut.
    #[inline]
    pub(crate) fn joined(&self, before: char, after: char) -> bool {
        let (before, after) = (in_text(before), in_text(after));
        if let (Some(a), Some(b)) = (ascii_place(before), ascii_place(after)) {
            self.first[a] & self.second[b] != 0
        } else if self.is_alone(before) || self.is_alone(after) {
            false
        } else {
            let bit = self.hash(before, after);
            self.hashed[bit / 64] >> (bit % 64) & 1 == 1
        }
    }

    #[inline]
    fn is_alone(&self, character: char) -> bool {
        character.is_ascii() && self.alone >> u32::from(character) & 1 == 1
    }

    #[inline]
    fn hash(&self, before: char, after: char) -> usize {
        let pair = u64::from(u32::from(before)) << 32 | u64::from(u32::from(after));
        let hash = (pair ^ (pair >> 25)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        narrow(hash >> self.shift)
    }

    /// Returns how much memory the tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.hashed.len() * 8 + 256
    }
}

/// Returns the character as the text has it: a space for `▁`.
fn in_text(character: char) -> char {
    if character == SPACE_PIECE { ' ' } else { character }
}

fn ascii_place(character: char) -> Option<usize> {
    character.is_ascii().then_some(character as usize)
}

/// A set of first characters times a set of second ones, and what it costs.
#[derive(Clone, Copy)]
struct Rectangle {
    rows: u128,
    columns: u128,
    /// How often pairs are likely to be met that it joins without need.
    cost: u64,
}

/// How many rectangles cover the joined pairs: one for each bit of a byte.
const RECTANGLES: usize = 8;

/// Covers the joined pairs of ASCII with eight rectangles, joining as little more as it can.
///
/// It begins with a rectangle for every row of the table, and merges the two that add the least cost
/// until eight are left.
fn cover(ascii: &mut [u128; 128], alone: u128) -> (Box<[u8; 128]>, Box<[u8; 128]>) {
    // Those that are alone have a rectangle of their own.
    for (at, row) in ascii.iter_mut().enumerate() {
        *row = if alone >> at & 1 == 1 { 0 } else { *row & !alone };
    }
    let ascii = &*ascii;
    let most = RECTANGLES - usize::from(alone != 0);
    let weights: [u64; 128] = std::array::from_fn(|at| weight(narrow(at)));
    let total = |set: u128| places(set).map(|at| weights[at]).sum::<u64>();
    let joint = |rows: u128, columns: u128| Rectangle {
        rows,
        columns,
        cost: places(rows).map(|row| weights[row] * total(columns & !ascii[row])).sum::<u64>(),
    };
    let merged = |one: &Rectangle, other: &Rectangle| {
        joint(one.rows | other.rows, one.columns | other.columns)
    };
    let added = |one: &Rectangle, other: &Rectangle| {
        merged(one, other).cost.saturating_sub(one.cost + other.cost)
    };
    let mut groups: Vec<Rectangle> = Vec::new();
    for (row, &columns) in ascii.iter().enumerate().filter(|(_, columns)| **columns != 0) {
        match groups.iter_mut().find(|group| group.columns == columns) {
            Some(group) => group.rows |= 1 << row,
            None => groups.push(Rectangle { rows: 1 << row, columns, cost: 0 }),
        }
    }
    // What merging two groups adds; only the entries of a group that changed are computed again.
    let mut table: Vec<Vec<u64>> = groups
        .iter()
        .enumerate()
        .map(|(at, one)| groups[..at].iter().map(|other| added(one, other)).collect())
        .collect();
    while groups.len() > most {
        let cheapest = (1..groups.len())
            .flat_map(|one| (0..one).map(move |other| (one, other)))
            .min_by_key(|&(one, other)| table[one][other]);
        let Some((one, other)) = cheapest else { break };
        let removed = groups.remove(one);
        table.remove(one);
        for row in &mut table[one..] {
            row.remove(one);
        }
        groups[other] = merged(&groups[other], &removed);
        for at in (0..groups.len()).filter(|&at| at != other) {
            table[at.max(other)][at.min(other)] = added(&groups[at], &groups[other]);
        }
    }
    groups.push(Rectangle { rows: alone, columns: alone, cost: 0 });
    groups.truncate(RECTANGLES);
    let (mut first, mut second) = (Box::new([0; 128]), Box::new([0; 128]));
    for (number, Rectangle { rows, columns, .. }) in groups.into_iter().enumerate() {
        for at in 0..128 {
            first[at] |= u8::from(rows >> at & 1 == 1) << number;
            second[at] |= u8::from(columns >> at & 1 == 1) << number;
        }
    }
    (first, second)
}

/// Returns the places of a set's bits.
fn places(set: u128) -> impl Iterator<Item = usize> {
    let half = |bits: u32| narrow::<_, u64>(set >> bits & u128::from(u64::MAX));
    mask::places(half(0)).chain(mask::places(half(64)).map(|place| place + 64))
}

/// Returns about how often a character is met in text, as a relative weight.
fn weight(byte: u8) -> u64 {
    match byte {
        b' ' => 60,
        b'a'..=b'z' => 16,
        b'.' | b',' | b'\n' => 8,
        b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'\'' | b'"' | b'(' | b')' | b'/' | b'_' => 4,
        b'\t' | b':' | b';' | b'=' | b'*' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'#' => 2,
        byte if byte.is_ascii_graphic() => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alphabet() -> Alphabet {
        Alphabet::of_chars([])
    }

    proptest! {
        /// Whatever stands side by side within a text that merges make is joined.
        #[test]
        fn no_piece_is_cut(texts in proptest::collection::vec("[a-f▁é .,х中]{1,6}", 0..60)) {
            let joins = Joins::new(texts.iter().map(String::as_str), false, &alphabet(), &Fallback::Nothing, 9, 0);

            for text in &texts {
                let characters: Vec<char> = text.chars().collect();
                for pair in characters.windows(2) {
                    prop_assert!(joins.joined(pair[0], pair[1]), "{:?} in {:?}", pair, text);
                }
            }
        }
    }

    #[test]
    fn characters_that_are_alone_are_joined_with_none() {
        let texts: Vec<String> =
            (b'a'..=b'z').map(|c| format!("{0}\n{0}é\né\n\n", char::from(c))).collect();
        let alone = 1 << b'\n' | 1 << b'\t';
        let joins = Joins::new(
            texts.iter().map(String::as_str),
            false,
            &alphabet(),
            &Fallback::Nothing,
            9,
            alone,
        );

        assert!(joins.joined('\n', '\n'));
        for other in (0..128_u8).map(char::from).chain(['é', '中']).filter(|c| !"\n\t".contains(*c))
        {
            assert!(!joins.joined('\n', other) && !joins.joined(other, '\n'), "{other:?}");
        }
    }

    #[test]
    fn characters_that_no_piece_spans_are_cut() {
        let joins = Joins::new(["ab", "▁a"], false, &alphabet(), &Fallback::Nothing, 9, 0);

        assert!(joins.joined(' ', 'a') && joins.joined('a', 'b'));
        assert!(!joins.joined('b', 'a') && !joins.joined('b', ' ') && !joins.joined('é', 'b'));
    }
}

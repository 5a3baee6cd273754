//! Cuts a text into runs of characters of one class: `Whitespace`, `BertPreTokenizer`, `WhitespaceSplit`, and
//! `Digits` and `Punctuation` where matches are pieces or dropped.
//!
//! The fast form looks at a block of 64 bytes at a time: which bytes have which class is a mask, and where pieces
//! begin and end follows from the masks. [`Runs::cut_plainly`] is its slow twin.

use crate::engine::{Level, class_masks, mask};

use super::super::traits::Traits;
use super::pieces::Piece;

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It is in no piece.
    Gap = 0,
    /// Runs of it are pieces.
    Word = 1,
    /// It is another kind of word.
    Other = 1 << 1,
    /// It is a piece of its own.
    Single = 1 << 2,
}

/// How many bits classes have.
const BITS: usize = 3;

/// Which characters are of which class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// `\w`, `\s` between words, and all others.
    Whitespace,
    /// White space between words, and punctuation, each a piece of its own.
    Bert,
    /// Characters with one of these traits are dropped.
    Removed(Traits),
    /// Each of them is a piece.
    Isolated(Traits),
    /// Each run of them is a piece.
    Contiguous(Traits),
}

impl Cut {
    fn class(self, character: char) -> Class {
        let traits = Traits::of(character);
        match self {
            Self::Whitespace if traits.has(Traits::WORD) => Class::Word,
            Self::Whitespace if traits.has(Traits::SPACE) => Class::Gap,
            Self::Whitespace => Class::Other,
            Self::Bert if traits.has(Traits::WHITE) => Class::Gap,
            Self::Bert if traits.has(Traits::PUNCTUATION) => Class::Single,
            Self::Removed(set) if traits.has(set) => Class::Gap,
            Self::Isolated(set) if traits.has(set) => Class::Single,
            Self::Contiguous(set) if traits.has(set) => Class::Other,
            _ => Class::Word,
        }
    }
}

/// The step.
#[derive(Clone, Debug)]
pub(in super::super) struct Runs {
    cut: Cut,
    /// The class of each character of ASCII.
    ascii: [u8; 128],
    level: Level,
}

/// Shorter texts are cut character by character.
const SHORT: usize = 32;

/// The bytes of one block, by the class of their characters.
#[derive(Clone, Copy)]
struct Block {
    classes: [u64; BITS],
    /// Where characters begin.
    begins: u64,
}

/// What a block leaves to the next one.
#[derive(Default)]
struct Left {
    /// The class of its last byte, one bit each.
    classes: [u64; BITS],
    /// A character that continues in the next block: its class, and how many bytes of it are left.
    class: u8,
    bytes: usize,
    /// Where a piece has begun that continues.
    open: Option<usize>,
}

impl Runs {
    /// Makes the step.
    pub(in super::super) fn new(cut: Cut, level: Level) -> Self {
        let class = |place| u8::try_from(place).map_or(0, |byte| cut.class(char::from(byte)) as u8);
        Self { cut, ascii: std::array::from_fn(class), level }
    }

    /// Adds the pieces of a text.
    pub(super) fn cut(&self, text: &str, base: usize, out: &mut Vec<Piece>) {
        if text.len() < SHORT {
            return self.cut_plainly(text, base, out);
        }
        let mut left = Left::default();
        for (number, bytes) in text.as_bytes().chunks(mask::BLOCK).enumerate() {
            let at = number * mask::BLOCK;
            let masks = class_masks(self.level, &self.ascii, bytes);
            let [word, other, single, ..] = masks.classes;
            let mut block = Block { classes: [word, other, single], begins: u64::MAX };
            if masks.beyond != 0 || left.bytes > 0 {
                self.look_beyond(text, at, masks.beyond, &mut block, &mut left);
            }
            add(block, base + at, &mut left, out);
        }
        if let Some(start) = left.open {
            out.push(Piece::new(start, base + text.len()));
        }
    }

    /// Puts the classes of characters beyond ASCII into a block, which lies at `at`.
    fn look_beyond(&self, text: &str, at: usize, beyond: u64, block: &mut Block, left: &mut Left) {
        let mut put = |bits: u64, class: u8| {
            for (bit, mask) in block.classes.iter_mut().enumerate() {
                *mask = *mask & !bits | if class >> bit & 1 == 1 { bits } else { 0 };
            }
            block.begins &= !(bits & bits << 1);
        };
        let tail = mask::first(left.bytes);
        put(tail, left.class);
        let mut rest = beyond & !tail;
        left.bytes = 0;
        while rest != 0 {
            let place = rest.trailing_zeros() as usize;
            let Some(character) = text[at + place..].chars().next() else { break };
            let len = character.len_utf8();
            let class = self.cut.class(character) as u8;
            let bits = mask::first(len) << place;
            put(bits, class);
            rest &= !bits;
            (left.class, left.bytes) = (class, (place + len).saturating_sub(mask::BLOCK));
        }
        // The rest of a character begins nothing.
        block.begins &= !tail;
    }

    /// Adds the pieces of a text, character by character.
    pub(super) fn cut_plainly(&self, text: &str, base: usize, out: &mut Vec<Piece>) {
        let bytes = text.as_bytes();
        let class_at = |at: usize| {
            let byte = *bytes.get(at)?;
            if let Some(class) = self.ascii.get(usize::from(byte)) {
                return Some((*class, 1));
            }
            let character = text[at..].chars().next()?;
            Some((self.cut.class(character) as u8, character.len_utf8()))
        };
        let mut at = 0;
        while let Some((class, len)) = class_at(at) {
            let start = at;
            at += len;
            if class != Class::Single as u8 {
                while let Some((next, len)) = class_at(at)
                    && next == class
                {
                    at += len;
                }
            }
            if class != Class::Gap as u8 {
                out.push(Piece::new(base + start, base + at));
            }
        }
    }
}

/// Adds the pieces that end in a block, whose first byte has the place `at`.
#[inline]
fn add(block: Block, at: usize, left: &mut Left, out: &mut Vec<Piece>) {
    let mut changes = block.classes[2] & block.begins;
    let (mut within, mut before) = (0, 0);
    for (mask, last) in block.classes.iter().zip(&mut left.classes) {
        let shifted = mask << 1 | *last;
        changes |= mask ^ shifted;
        within |= mask;
        before |= shifted;
        *last = mask >> (mask::BLOCK - 1);
    }
    let (mut starts, mut ends) = (changes & within, changes & before);
    let next = |mask: &mut u64| {
        let place = at + mask.trailing_zeros() as usize;
        *mask &= mask.wrapping_sub(1);
        place
    };
    if ends != 0
        && let Some(start) = left.open.take()
    {
        out.push(Piece::new(start, next(&mut ends)));
    }
    out.extend((0..ends.count_ones()).map(|_| Piece::new(next(&mut starts), next(&mut ends))));
    if starts != 0 {
        left.open = Some(next(&mut starts));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CUTS: [Cut; 6] = [
        Cut::Whitespace,
        Cut::Bert,
        Cut::Removed(Traits::WHITE),
        Cut::Isolated(Traits::NUMERIC),
        Cut::Contiguous(Traits::NUMERIC),
        Cut::Isolated(Traits::PUNCTUATION),
    ];

    proptest! {
        /// Blocks are cut where characters one by one are, at every level.
        #[test]
        fn blocks_are_cut_as_characters_are(
            text in "([a-c]{1,9}|[ \t\n\u{a0}\u{3000}]{1,2}|[0-9٣²]{1,3}|[.,!?。「]{1,3}|é|中|[\u{1f600}-\u{1f610}]|\u{301}|\\PC){0,120}",
            base in 0_usize..9,
        ) {
            for cut in CUTS {
                for level in Level::available() {
                    let runs = Runs::new(cut, level);
                    let (mut fast, mut plain) = (vec![Piece::new(0, 1)], vec![Piece::new(0, 1)]);

                    runs.cut(&text, base, &mut fast);
                    runs.cut_plainly(&text, base, &mut plain);

                    prop_assert_eq!(fast, plain, "{:?} by {:?} at {}", text, cut, level);
                }
            }
        }
    }
}

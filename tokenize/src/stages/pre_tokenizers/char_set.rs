//! Sets of characters that texts are split at.

use super::super::traits::Traits;
use super::behaviour::{Behaviour, Splits};
use super::pieces::Piece;

/// A set of characters: a table of ASCII, and a rule for the others.
#[derive(Debug)]
pub(in super::super) struct CharSet {
    ascii: [bool; 128],
    beyond: Beyond,
}

#[derive(Debug)]
enum Beyond {
    Traits(Traits),
    One(char),
}

impl CharSet {
    /// The characters with one of these traits.
    pub(in super::super) fn of(traits: Traits) -> Self {
        let beyond = Beyond::Traits(traits);
        Self { ascii: ascii(|character| Traits::of(character).has(traits)), beyond }
    }

    /// One character.
    pub(in super::super) fn one(one: char) -> Self {
        Self { ascii: ascii(|character| character == one), beyond: Beyond::One(one) }
    }

    /// Returns the first character of the set from `at` on: its place, and its end.
    #[inline]
    fn next(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let bytes = text.as_bytes();
        let mut at = at;
        while let Some(&byte) = bytes.get(at) {
            let Some(&is_in) = self.ascii.get(usize::from(byte)) else {
                let character = text[at..].chars().next()?;
                let is_in = match self.beyond {
                    Beyond::Traits(traits) => Traits::of(character).has(traits),
                    Beyond::One(one) => character == one,
                };
                let end = at + character.len_utf8();
                if is_in {
                    return Some((at, end));
                }
                at = end;
                continue;
            };
            if is_in {
                return Some((at, at + 1));
            }
            at += 1;
        }
        None
    }

    /// Splits a text at every character of the set.
    pub(super) fn split(
        &self,
        text: &str,
        base: usize,
        behaviour: Behaviour,
        out: &mut Vec<Piece>,
    ) {
        let mut splits = Splits::new(behaviour, base, out);
        let mut done = 0;
        while let Some((start, end)) = self.next(text, done) {
            if start > done {
                splits.add(done, start, false);
            }
            splits.add(start, end, true);
            done = end;
        }
        if done < text.len() {
            splits.add(done, text.len(), false);
        }
        splits.finish();
    }
}

fn ascii(is_in: impl Fn(char) -> bool) -> [bool; 128] {
    std::array::from_fn(|place| u8::try_from(place).is_ok_and(|byte| is_in(char::from(byte))))
}

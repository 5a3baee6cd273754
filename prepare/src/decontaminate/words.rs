//! The words of a text as overlaps are looked for: in lower case, without punctuation.
//!
//! GPT-3 and the janitor of lm-evaluation-harness compare texts so: letters in lower case, punctuation
//! taken out, and words parted by white space.

use std::ops::Range;

use crate::dedup::mix;

const BEGIN: u64 = 0xcbf2_9ce4_8422_2325;
const STEP: u64 = 0x0000_0100_0000_01b3;

/// Appends the hashes of a text's words, and where each is in the text.
pub(super) fn words(text: &str, hashes: &mut Vec<u64>, places: &mut Vec<Range<usize>>) {
    let feed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(STEP);
    let bytes = text.as_bytes();
    let (mut at, mut hash, mut begin) = (0, BEGIN, None);
    while at < bytes.len() {
        let byte = bytes[at];
        let (is_space, len);
        if byte.is_ascii() {
            (is_space, len) = (byte.is_ascii_whitespace() || byte == 0x0b, 1);
            if byte.is_ascii_alphanumeric() {
                hash = feed(hash, byte.to_ascii_lowercase());
                begin.get_or_insert(at);
            }
        } else {
            let Some(sign) = text[at..].chars().next() else { break };
            (is_space, len) = (sign.is_whitespace(), sign.len_utf8());
            if sign.is_alphanumeric() {
                for lower in sign.to_lowercase() {
                    let mut buffer = [0; 4];
                    for byte in lower.encode_utf8(&mut buffer).bytes() {
                        hash = feed(hash, byte);
                    }
                }
                begin.get_or_insert(at);
            }
        }
        if is_space && let Some(first) = begin.take() {
            hashes.push(mix(hash));
            places.push(first..at);
            hash = BEGIN;
        }
        at += len;
    }
    if let Some(first) = begin {
        hashes.push(mix(hash));
        places.push(first..text.len());
    }
}

/// The hashes of all n-grams of some units, each from the one before it.
pub(super) struct Grams<'a> {
    units: &'a [u64],
    ngram: usize,
    next: usize,
    hash: u64,
    /// What the first unit of an n-gram is multiplied by.
    factor: u64,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl<'a> Grams<'a> {
    pub(super) fn new(units: &'a [u64], ngram: usize) -> Self {
        let factor = (1..ngram).fold(1, |factor: u64, _| factor.wrapping_mul(BASE));
        let first = units.iter().take(ngram.saturating_sub(1));
        let hash = first.fold(0, |hash: u64, unit| push(hash, *unit));
        Self { units, ngram, next: 0, hash, factor }
    }
}

fn push(hash: u64, unit: u64) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(unit)
}

impl Iterator for Grams<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let last = self.units.get(self.next + self.ngram - 1)?;
        self.hash = push(self.hash, *last);
        let gram = mix(self.hash);
        let first = self.units[self.next].wrapping_mul(self.factor);
        self.hash = self.hash.wrapping_sub(first);
        self.next += 1;
        Some(gram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<u64> {
        let mut hashes = Vec::new();
        words(text, &mut hashes, &mut Vec::new());
        hashes
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        assert_eq!(read("The rat's (long) TAIL — été!"), read("the rats long tail ÉTÉ"));
        assert_ne!(read("the rats"), read("the rat s"));
        assert_eq!(read(" -- \u{a0}.\n"), [0; 0]);
    }

    #[test]
    fn a_word_has_a_place() {
        let (text, mut places) = (" (One)\ttwo,", Vec::new());

        words(text, &mut Vec::new(), &mut places);

        assert_eq!(places.into_iter().map(|at| &text[at]).collect::<Vec<_>>(), ["One)", "two,"]);
    }

    #[test]
    fn a_gram_is_the_same_wherever_it_is() {
        let one = read("a b c d e");
        let two = read("x y b c d z");
        let grams = |units: &[u64], ngram| Grams::new(units, ngram).collect::<Vec<_>>();
        assert_eq!(grams(&one, 3)[1], grams(&two, 3)[2]);
        assert_eq!(grams(&one, 3).len(), 3);
        assert_eq!(grams(&one, 1), grams(&read("a b c d e"), 1));
        assert_eq!(grams(&one, 6), [0; 0]);
        assert_ne!(grams(&read("a b"), 2), grams(&read("b a"), 2));
    }
}

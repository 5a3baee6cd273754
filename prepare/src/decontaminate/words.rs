//! The words of a text as overlaps are looked for: in lower case, without punctuation.
//!
//! GPT-3 and the janitor of lm-evaluation-harness compare texts so: letters in lower case, punctuation
//! taken out, and words parted by white space.

use std::ops::Range;

use crate::dedup::mix;

/// A word: its hash, and where it is in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) hash: u64,
    pub(super) at: Range<usize>,
}

const BEGIN: u64 = 0xcbf2_9ce4_8422_2325;
const STEP: u64 = 0x0000_0100_0000_01b3;

/// Reads the words of a text into a buffer.
pub(super) fn words(text: &str, words: &mut Vec<Word>) {
    words.clear();
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
            words.push(Word { hash: mix(hash), at: first..at });
            hash = BEGIN;
        }
        at += len;
    }
    if let Some(first) = begin {
        words.push(Word { hash: mix(hash), at: first..text.len() });
    }
}

/// The hashes of all n-grams of some words, each from the one before it.
pub(super) struct Grams<'a> {
    words: &'a [Word],
    ngram: usize,
    next: usize,
    hash: u64,
    /// What the first word of an n-gram is multiplied by.
    factor: u64,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl<'a> Grams<'a> {
    pub(super) fn new(words: &'a [Word], ngram: usize) -> Self {
        let factor = (1..ngram).fold(1, |factor: u64, _| factor.wrapping_mul(BASE));
        let first = words.iter().take(ngram.saturating_sub(1));
        let hash = first.fold(0, |hash: u64, word| push(hash, word.hash));
        Self { words, ngram, next: 0, hash, factor }
    }
}

fn push(hash: u64, word: u64) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(word)
}

impl Iterator for Grams<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let last = self.words.get(self.next + self.ngram - 1)?;
        self.hash = push(self.hash, last.hash);
        let gram = mix(self.hash);
        let first = self.words[self.next].hash.wrapping_mul(self.factor);
        self.hash = self.hash.wrapping_sub(first);
        self.next += 1;
        Some(gram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Word> {
        let mut found = Vec::new();
        words(text, &mut found);
        found
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        let hashes = |text: &str| read(text).into_iter().map(|word| word.hash).collect::<Vec<_>>();
        assert_eq!(hashes("The rat's (long) TAIL — été!"), hashes("the rats long tail ÉTÉ"));
        assert_ne!(hashes("the rats"), hashes("the rat s"));
        assert_eq!(hashes(" -- \u{a0}.\n"), [0; 0]);
        let text = " (One)\ttwo,";
        assert_eq!(
            read(text).iter().map(|word| &text[word.at.clone()]).collect::<Vec<_>>(),
            ["One)", "two,"]
        );
    }

    #[test]
    fn a_gram_is_the_same_wherever_it_is() {
        let one = read("a b c d e");
        let two = read("x y b c d z");
        let grams = |words: &[Word], ngram| Grams::new(words, ngram).collect::<Vec<_>>();
        assert_eq!(grams(&one, 3)[1], grams(&two, 3)[2]);
        assert_eq!(grams(&one, 3).len(), 3);
        assert_eq!(grams(&one, 1), grams(&read("a b c d e"), 1));
        assert_eq!(grams(&one, 6), [0; 0]);
        assert_ne!(grams(&read("a b"), 2), grams(&read("b a"), 2));
    }
}

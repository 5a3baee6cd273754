//! The repetition rules of Gopher.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::settings::GopherRepetition;
use super::{Counted, duplicates, share};
use crate::hashed::Hashed;
use crate::words::{WordReader, strip};

/// A word as its n-grams are made of it.
struct Word {
    /// A polynomial over its bytes, so that the hash of two words one after the other is that of their
    /// bytes, wherever one ends.
    hash: u64,
    /// What a hash before it is multiplied by.
    factor: u64,
    chars: usize,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Word {
    fn of(word: &str) -> Self {
        let (mut hash, mut factor) = (0_u64, 1_u64);
        for byte in word.bytes() {
            hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
            factor = factor.wrapping_mul(BASE);
        }
        Self { hash, factor, chars: word.chars().count() }
    }

    /// The space between two words.
    fn space(hash: u64) -> u64 {
        hash.wrapping_mul(BASE).wrapping_add(u64::from(b' ') + 1)
    }

    fn after(&self, hash: u64) -> u64 {
        hash.wrapping_mul(self.factor).wrapping_add(self.hash)
    }
}

/// Spreads the bits of a polynomial over a hash.
fn spread(hash: u64) -> u64 {
    crate::dedup::mix(hash)
}

impl GopherRepetition {
    /// Returns why a text is left out.
    pub(super) fn reason(
        &self,
        counted: &mut Counted<'_>,
        reader: &mut WordReader,
    ) -> Option<Cow<'static, str>> {
        let text = counted.text;
        if text.is_empty() {
            return Some("empty".into());
        }
        let chars = counted.chars();
        let paragraphs = split_at_ends(strip(text), 2);
        let (count, in_them) = duplicates(paragraphs.iter().copied());
        if self.dup_para_frac > 0.0 && share(count, paragraphs.len()) > self.dup_para_frac {
            return Some("dup_para_frac".into());
        }
        if self.dup_para_char_frac > 0.0 && share(in_them, chars) > self.dup_para_char_frac {
            return Some("dup_para_char_frac".into());
        }
        let lines = split_at_ends(text, 1);
        let (count, in_them) = duplicates(lines.iter().copied());
        if self.dup_line_frac > 0.0 && share(count, lines.len()) > self.dup_line_frac {
            return Some("dup_line_frac".into());
        }
        if self.dup_line_char_frac > 0.0 && share(in_them, chars) > self.dup_line_char_frac {
            return Some("dup_line_char_frac".into());
        }
        let words = counted.words(reader).iter();
        let words: Vec<Word> = words.map(|at: &Range<usize>| Word::of(&text[at.clone()])).collect();
        for &(length, most) in &self.top_n_grams {
            if words.len() >= length && share(top_gram(&words, length), chars) > most {
                return Some(format!("top_{length}_gram").into());
            }
        }
        for &(length, most) in &self.dup_n_grams {
            if share(repeated(&words, length), chars) > most {
                return Some(format!("duplicated_{length}_n_grams").into());
            }
        }
        None
    }
}

/// Splits a text at runs of so many line feeds or more.
fn split_at_ends(text: &str, ends: usize) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut parts, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|byte| **byte == b'\n').count();
        if run >= ends {
            parts.push(&text[begin..at]);
            begin = at + run;
        }
        at += run.max(1);
    }
    parts.push(&text[begin..]);
    parts
}

/// Returns how many characters the most frequent n-gram has, all its places together; of several, it is
/// the first.
fn top_gram(words: &[Word], length: usize) -> usize {
    let mut counts: HashMap<u64, (usize, usize), Hashed> =
        HashMap::with_capacity_and_hasher(words.len(), Hashed::default());
    for (at, gram) in words.windows(length).enumerate() {
        let mut grams = gram.iter();
        let first = grams.next().map_or(0, |word| word.hash);
        let hash = grams.fold(first, |hash, word| word.after(Word::space(hash)));
        counts.entry(spread(hash)).or_insert((0, at)).0 += 1;
    }
    let top = counts.into_values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
    top.map_or(0, |(count, at)| {
        let chars: usize = words[at..at + length].iter().map(|word| word.chars).sum();
        (chars + length - 1) * count
    })
}

/// Returns how many characters n-grams have that were there before; they do not overlap.
fn repeated(words: &[Word], length: usize) -> usize {
    let mut seen: HashSet<u64, Hashed> =
        HashSet::with_capacity_and_hasher(words.len(), Hashed::default());
    let (mut chars, mut at) = (0, 0);
    while let Some(gram) = words.get(at..at + length) {
        let hash = gram.iter().fold(0, |hash, word| word.after(hash));
        if seen.insert(spread(hash)) {
            at += 1;
        } else {
            chars += gram.iter().map(|word| word.chars).sum::<usize>();
            at += length;
        }
    }
    chars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_line_ends_as_python_splits_it() {
        assert_eq!(split_at_ends("a\n\nb\n\n\nc\nd", 2), ["a", "b", "c\nd"]);
        assert_eq!(split_at_ends("\na\n\nb\n", 1), ["", "a", "b", ""]);
        assert_eq!(split_at_ends("", 1), [""]);
    }

    #[test]
    fn grams_are_counted_with_their_characters() {
        let words: Vec<Word> = "a bb a bb c a bb".split(' ').map(Word::of).collect();
        assert_eq!(top_gram(&words, 2), 4 * 3);
        assert_eq!(repeated(&words, 2), 3 + 3);
        // Where words end does not count.
        let words: Vec<Word> = "ab c x a bc".split(' ').map(Word::of).collect();
        assert_eq!(repeated(&words, 2), 3);
    }
}

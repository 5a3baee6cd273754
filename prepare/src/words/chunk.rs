//! How a chunk between white space is parted into words.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use onig::Regex;
use serde::Deserialize;

/// A quick hash of short texts that nobody chooses to collide: the tables are bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuickHasher(u64);

pub(super) type Quick = BuildHasherDefault<QuickHasher>;

impl Default for QuickHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The facts as they are stored.
#[derive(Deserialize)]
struct Facts {
    prefix: String,
    suffix: String,
    infix: String,
    url: String,
    sentence_ends: String,
    exceptions: HashMap<String, Vec<String>>,
    /// The exceptions that the patterns part, and how.
    parted: HashMap<String, Vec<String>>,
}

/// What parts English words.
pub(super) struct English {
    /// None where a pattern does not compile: a test sees to it that all do.
    patterns: Option<Patterns>,
    exceptions: HashMap<Box<str>, Box<[u8]>, Quick>,
    /// The exceptions that are put together again where they were parted, by their first word.
    parted: HashMap<Box<str>, Vec<Vec<String>>, Quick>,
    sentence_ends: HashSet<char>,
    punctuation: Option<regex::Regex>,
}

struct Patterns {
    prefix: Regex,
    suffix: Regex,
    infix: Regex,
    url: Regex,
}

impl std::fmt::Debug for English {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("English").finish_non_exhaustive()
    }
}

impl English {
    pub(super) fn get() -> &'static Self {
        static ENGLISH: OnceLock<English> = OnceLock::new();
        ENGLISH.get_or_init(|| Self::of(serde_json::from_str(include_str!("english.json")).ok()))
    }

    fn of(facts: Option<Facts>) -> Self {
        let mut english = Self {
            patterns: None,
            exceptions: HashMap::default(),
            parted: HashMap::default(),
            sentence_ends: HashSet::new(),
            punctuation: regex::Regex::new(r"^\p{P}*$").ok(),
        };
        let Some(facts) = facts else { return english };
        english.patterns = Patterns::of(&facts);
        english.sentence_ends = facts.sentence_ends.chars().collect();
        for (text, words) in facts.exceptions {
            let lens = words.iter().map(|word| u8::try_from(word.len()).unwrap_or(u8::MAX));
            english.exceptions.insert(text.into(), lens.collect());
        }
        for words in facts.parted.into_values() {
            if let Some(first) = words.first() {
                english.parted.entry(first.as_str().into()).or_default().push(words);
            }
        }
        english
    }

    /// Returns the lengths of the words of an exception.
    pub(super) fn exception(&self, text: &str) -> Option<&[u8]> {
        self.exceptions.get(text).map(AsRef::as_ref)
    }

    pub(super) fn ends_sentence(&self, word: &str) -> bool {
        let mut signs = word.chars();
        match (signs.next(), signs.next()) {
            (Some(sign), None) => self.sentence_ends.contains(&sign),
            _ => false,
        }
    }

    pub(super) fn is_punctuation(&self, word: &str) -> bool {
        match word.bytes().next() {
            Some(byte) if byte.is_ascii_alphanumeric() => false,
            _ => self.punctuation.as_ref().is_some_and(|regex| regex.is_match(word)),
        }
    }

    /// Returns the lengths of the words of a chunk.
    pub(super) fn part(&self, chunk: &str) -> Vec<usize> {
        let Some(patterns) = &self.patterns else { return vec![chunk.len()] };
        if let Some(lens) = self.exception(chunk) {
            return lens.iter().map(|&len| len.into()).collect();
        }
        let mut words = Vec::new();
        let mut ends = Vec::new();
        let mut rest = chunk;
        let mut last = 0;
        while !rest.is_empty() && rest.len() != last && self.exception(rest).is_none() {
            last = rest.len();
            let prefix = patterns.prefix_of(rest);
            if prefix > 0 && prefix < rest.len() && self.exception(&rest[prefix..]).is_some() {
                words.push(prefix);
                rest = &rest[prefix..];
                break;
            }
            let suffix = patterns.suffix_of(&rest[prefix..]);
            let before = rest.len() - suffix;
            if suffix > 0 && before > 0 && self.exception(&rest[..before]).is_some() {
                ends.push(suffix);
                rest = &rest[..before];
                break;
            }
            if prefix > 0 && suffix > 0 && prefix + suffix <= rest.len() {
                words.push(prefix);
                ends.push(suffix);
                rest = &rest[prefix..before];
            } else if prefix > 0 {
                words.push(prefix);
                rest = &rest[prefix..];
            } else if suffix > 0 {
                ends.push(suffix);
                rest = &rest[..before];
            }
        }
        if !rest.is_empty() {
            match self.exception(rest) {
                Some(lens) => words.extend(lens.iter().map(|&len| usize::from(len))),
                None => patterns.infixes(rest, &mut words),
            }
        }
        words.extend(ends.into_iter().rev());
        self.put_together(chunk, &words)
    }

    /// Puts exceptions together that were parted: the longest first, and of equal ones the first.
    fn put_together(&self, chunk: &str, lens: &[usize]) -> Vec<usize> {
        let mut begin = 0;
        let words: Vec<&str> = lens
            .iter()
            .map(|len| {
                begin += len;
                &chunk[begin - len..begin]
            })
            .collect();
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            for exception in self.parted.get(*word).into_iter().flatten() {
                let end = at + exception.len();
                if words.get(at..end).is_some_and(|words| words.iter().eq(exception.iter())) {
                    found.push((at, end));
                }
            }
        }
        if found.is_empty() {
            return lens.to_vec();
        }
        found.sort_by_key(|(begin, end)| (std::cmp::Reverse(end - begin), *begin));
        let mut seen = vec![false; words.len()];
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (begin, end) in found {
            if !seen[begin] && !seen[end - 1] {
                taken.push((begin, end));
            }
            seen[begin..end].fill(true);
        }
        taken.sort_unstable();
        let (mut out, mut next) = (Vec::with_capacity(lens.len()), 0);
        for (begin, end) in taken {
            out.extend_from_slice(&lens[next..begin]);
            let whole: String = words[begin..end].concat();
            match self.exception(&whole) {
                Some(exception) => out.extend(exception.iter().map(|&len| usize::from(len))),
                None => out.extend_from_slice(&lens[begin..end]),
            }
            next = end;
        }
        out.extend_from_slice(&lens[next..]);
        out
    }
}

impl Patterns {
    fn of(facts: &Facts) -> Option<Self> {
        let compiled = |pattern: &str| Regex::new(pattern).ok();
        Some(Self {
            prefix: compiled(&facts.prefix)?,
            suffix: compiled(&facts.suffix)?,
            infix: compiled(&facts.infix)?,
            url: compiled(&facts.url)?,
        })
    }

    /// Returns how many bytes what begins a chunk and is no part of its word has.
    fn prefix_of(&self, text: &str) -> usize {
        // Of letters, only those of currencies such as `US$` may begin one.
        let first = text.bytes().next().unwrap_or(b' ');
        if first.is_ascii_alphanumeric() && !matches!(first, b'U' | b'A' | b'C') {
            return 0;
        }
        self.prefix.find(text).map_or(0, |(begin, end)| end - begin)
    }

    /// Returns how many bytes what ends a chunk and is no part of its word has.
    fn suffix_of(&self, text: &str) -> usize {
        // A letter ends one only behind a digit, as a unit, or behind an apostrophe.
        if text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return 0;
        }
        self.suffix.find(text).map_or(0, |(begin, end)| end - begin)
    }

    /// Parts a text at what joins words.
    fn infixes(&self, text: &str, words: &mut Vec<usize>) {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain || (text.contains('.') && self.url.is_match(text)) {
            words.push(text.len());
            return;
        }
        let mut start = 0;
        for (begin, end) in self.infix.find_iter(text) {
            if begin == 0 {
                continue;
            }
            if begin != start {
                words.push(begin - start);
            }
            if begin != end {
                words.push(end - begin);
            }
            start = end;
        }
        if start < text.len() {
            words.push(text.len() - start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_read_and_every_pattern_compiles() {
        let english = English::get();
        assert!(english.patterns.is_some() && english.punctuation.is_some());
        assert!(english.exceptions.len() > 1000 && english.sentence_ends.len() > 100);
        let longest = english.exceptions.keys().map(|text| text.len()).max();
        assert!(longest.is_some_and(|longest| longest < 100));
    }
}

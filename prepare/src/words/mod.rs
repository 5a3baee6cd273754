//! The words and sentences of English texts, as spaCy's tokenizer of `en` parts them.
//!
//! datatrove counts words with spaCy, and thresholds are about its counts. A text is parted at white
//! space; each chunk loses what begins and ends words, such as quotes and full stops, and is parted at
//! what joins words, such as hyphens; exceptions, such as `don't` or `a.m.`, are parted as they are
//! listed. `english.json` has the facts, and `scripts/spacy_english.py` writes it.
//!
//! Chunks that were seen are kept in a table, and chunks of plain letters are one word unless they are
//! listed, so that few chunks take the slow way.

mod chunk;
mod space;

use std::collections::HashMap;
use std::ops::Range;

pub(crate) use space::{is_space, lines_of, strip};

use chunk::English;

/// How many chunks are kept.
const MOST_KEPT: usize = 1 << 16;

/// Longer chunks are rare, and are not kept.
const LONGEST_KEPT: usize = 48;

/// Parts texts into words.
#[derive(Debug)]
pub struct WordReader {
    english: &'static English,
    /// The lengths of the words of a chunk.
    kept: HashMap<Box<str>, Box<[u8]>, chunk::Quick>,
}

impl WordReader {
    pub(crate) fn new() -> Self {
        Self { english: English::get(), kept: HashMap::default() }
    }

    /// Writes the places of the words of a text to a buffer.
    pub(crate) fn words(&mut self, text: &str, words: &mut Vec<Range<usize>>) {
        words.clear();
        for chunk in chunks(text).filter(|chunk| !chunk.is_space) {
            self.part(text, chunk.at, words);
        }
    }

    fn part(&mut self, text: &str, at: Range<usize>, words: &mut Vec<Range<usize>>) {
        let chunk = &text[at.clone()];
        let mut begin = at.start;
        let mut push = |len: usize| {
            words.push(begin..begin + len);
            begin += len;
        };
        if chunk.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            match self.english.exception(chunk) {
                Some(lens) => lens.iter().for_each(|&len| push(len.into())),
                None => push(chunk.len()),
            }
            return;
        }
        if let Some(lens) = self.kept.get(chunk) {
            lens.iter().for_each(|&len| push(len.into()));
            return;
        }
        let lens = self.english.part(chunk);
        for &len in &lens {
            push(len);
        }
        if chunk.len() <= LONGEST_KEPT {
            if self.kept.len() >= MOST_KEPT {
                self.kept.clear();
            }
            let lens = lens.into_iter().map(|len| u8::try_from(len).unwrap_or(u8::MAX));
            self.kept.insert(chunk.into(), lens.collect());
        }
    }

    /// Returns how many sentences a text has: a sentence ends before the first word that is no
    /// punctuation behind a full stop or its like.
    pub(crate) fn sentences(&mut self, text: &str) -> usize {
        let mut words = Vec::new();
        let (mut sentences, mut ended) = (0, false);
        for chunk in chunks(text) {
            sentences = sentences.max(1);
            words.clear();
            if chunk.is_space {
                words.push(chunk.at);
            } else {
                self.part(text, chunk.at, &mut words);
            }
            for word in &words {
                let word = &text[word.clone()];
                let is_end = self.english.ends_sentence(word);
                if ended && !is_end && !self.english.is_punctuation(word) {
                    sentences += 1;
                    ended = false;
                } else if is_end {
                    ended = true;
                }
            }
        }
        sentences
    }
}

/// A run of white space, or of everything else.
struct Chunk {
    at: Range<usize>,
    is_space: bool,
}

/// Returns the chunks of a text; one space between two of them is none.
fn chunks(text: &str) -> impl Iterator<Item = Chunk> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &text[at..];
            let first = rest.chars().next()?;
            let space = is_space(first);
            let len = rest.find(|sign: char| is_space(sign) != space).unwrap_or(rest.len());
            let chunk = Chunk { at: at..at + len, is_space: space };
            at += len;
            if !space {
                return Some(chunk);
            }
            // The first space of a run belongs to the word before it.
            if chunk.at.start > 0 && first == ' ' {
                if len == 1 {
                    continue;
                }
                return Some(Chunk { at: chunk.at.start + 1..chunk.at.end, is_space: true });
            }
            return Some(chunk);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        WordReader::new().words(text, &mut found);
        found.into_iter().map(|at| &text[at]).collect()
    }

    /// What spaCy 3.8 makes of the same texts.
    #[test]
    fn words_are_those_of_spacy() {
        for (text, expected) in [
            ("Hello, world!", &["Hello", ",", "world", "!"][..]),
            ("I don't can't cannot", &["I", "do", "n't", "ca", "n't", "can", "not"]),
            ("(He's here.)", &["(", "He", "'s", "here", ".", ")"]),
            ("at 10a.m. or 5p.m.", &["at", "10", "a.m.", "or", "5", "p.m."]),
            ("Mr.Smith and U.S.A.", &["Mr.", "Smith", "and", "U.S.A."]),
            ("see https://a.b.com/x?y=1, now", &["see", "https://a.b.com/x?y=1", ",", "now"]),
            ("5km and 5 km/h", &["5", "km", "and", "5", "km", "/", "h"]),
            ("US$5 C++ and/or w/o", &["US$", "5", "C++", "and/or", "w/o"]),
            ("well-known 1-2 a--b", &["well", "-", "known", "1", "-", "2", "a", "--", "b"]),
            ("wait... what…no", &["wait", "...", "what", "…", "no"]),
            ("«été» “x”", &["«", "été", "»", "“", "x", "”"]),
            ("a\u{a0}b\tc  d", &["a", "b", "c", "d"]),
            (":) :-( <3 smile:)", &[":)", ":-(", "<3", "smile", ":)"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn sentences_are_those_of_spacy() {
        for (text, expected) in [
            ("One. Two! Three?", 3),
            ("One... two.\" Three", 2),
            ("No end", 1),
            ("Mr. Smith has 3.5 rats.", 1),
            ("Aa.  Bb.", 2),
            ("", 0),
        ] {
            assert_eq!(WordReader::new().sentences(text), expected, "{text}");
        }
    }
}

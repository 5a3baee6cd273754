//! Byte-level pre-tokenization: the units that a vocabulary's pattern matches, found by masks.
//!
//! The pattern of GPT-2 is
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. Each character is
//! a letter, a number, white space or something else, and a unit ends
//!
//! 1. where the class changes, unless the character before is a plain space and the one after is
//!    no white space (the space belongs to the word);
//! 2. before the last white space of a run that something follows (`\s+(?!\S)` gives it back);
//! 3. after a contraction that begins a unit, and nowhere within one.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

use super::scan::{Level, class_masks};

/// A pre-tokenization pattern that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// GPT-2's, which GPT-NeoX, OPT and `RoBERTa` use too.
    Gpt2,
}

impl Pattern {
    /// Recognizes a pattern by its text.
    pub(crate) fn from_regex(regex: &str) -> Option<Self> {
        const GPT2: [&str; 2] = [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        ];
        GPT2.contains(&regex).then_some(Self::Gpt2)
    }
}

const LETTER: u8 = 1;
const NUMBER: u8 = 2;
const WHITE: u8 = 4;
const SPACE: u8 = 8; // beside WHITE
const OTHER: u8 = 16;
const APOSTROPHE: u8 = 32; // beside OTHER

/// The class of every character, one byte each; built once.
static CLASSES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut classes = vec![OTHER; 0x11_0000];
    for (pattern, class) in [(r"\p{L}", LETTER), (r"\p{N}", NUMBER), (r"\s", WHITE)] {
        for (first, last) in ranges(pattern) {
            classes[first as usize..=last as usize].fill(class);
        }
    }
    classes[usize::from(b' ')] |= SPACE;
    classes[usize::from(b'\'')] |= APOSTROPHE;
    classes
});

fn ranges(pattern: &str) -> Vec<(u32, u32)> {
    let parsed = regex_syntax::Parser::new().parse(pattern);
    match parsed.as_ref().map(regex_syntax::hir::Hir::kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        _ => Vec::new(),
    }
}

/// The classes of ASCII, for the vector form.
static ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| std::array::from_fn(|at| CLASSES[at]));

/// Where the scan of one text stands, between two blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PatternState {
    class: u8, // of the last byte; 0 before the first
    clear: u64,
    set: u64,
}

/// Returns the cuts of the block of up to 64 bytes that begins at `from`.
pub(crate) fn cut_mask(level: Level, text: &str, from: usize, state: &mut PatternState) -> u64 {
    let bytes = text.as_bytes();
    let block = &bytes[from..bytes.len().min(from + 64)];
    let ([mut letter, mut number, mut white, space, mut other, apostrophe], beyond) =
        class_masks(level, &ASCII, block);
    let mut continuation = 0;
    let mut wide_white = 0;
    if beyond != 0 {
        // Classes of bytes beyond ASCII were looked up by their low bits: take them back.
        (letter, number, white, other) =
            (letter & !beyond, number & !beyond, white & !beyond, other & !beyond);
        let mut class = state.class;
        let mut rest = beyond;
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            let at = from + rest.trailing_zeros() as usize;
            rest ^= bit;
            if bytes[at] & 0xC0 == 0x80 {
                continuation |= bit;
            } else {
                class = class_at(text, at);
                wide_white |= if class & WHITE == 0 { 0 } else { bit };
            }
            letter |= if class & LETTER == 0 { 0 } else { bit };
            number |= if class & NUMBER == 0 { 0 } else { bit };
            white |= if class & WHITE == 0 { 0 } else { bit };
            other |= if class & OTHER == 0 { 0 } else { bit };
        }
    }
    let (space, apostrophe) = (space & !beyond, apostrophe & !beyond);
    let before = |mask: u64, class: u8| mask << 1 | u64::from(state.class & class != 0);
    let same = letter & before(letter, LETTER)
        | number & before(number, NUMBER)
        | white & before(white, WHITE)
        | other & before(other, OTHER);
    let mut cuts = !same & !(before(space, SPACE) & !white);
    let end = from + block.len();
    let follower = u64::from(end < bytes.len() && class_at_any(text, end) & WHITE == 0);
    let live = if block.len() >= 64 { u64::MAX } else { (1 << block.len()) - 1 };
    let solid_after = (!white & live) >> 1 | follower << (block.len() - 1);
    cuts |= white & before(white, WHITE) & solid_after;
    cuts &= live & !continuation;
    while wide_white != 0 {
        // A white space of several bytes: look for what follows after all of them.
        let bit = wide_white & wide_white.wrapping_neg();
        let at = from + wide_white.trailing_zeros() as usize;
        wide_white ^= bit;
        let next = at + text[at..].chars().next().map_or(1, char::len_utf8);
        let after_white = before(white, WHITE) & bit != 0;
        let solid = next < bytes.len() && class_at_any(text, next) & WHITE == 0;
        if after_white && solid {
            cuts |= bit;
        }
    }
    cuts = cuts & !state.clear | state.set & live;
    (state.clear, state.set) = (0, 0);
    let mut starts = apostrophe & (cuts | u64::from(from == 0));
    while starts != 0 {
        let place = starts.trailing_zeros();
        starts &= starts - 1;
        let Some(len) = contraction(&bytes[from + place as usize + 1..]) else { continue };
        // The unit's second byte begins no unit, the byte after the contraction does.
        if place + 1 < 64 {
            cuts &= !(1 << (place + 1));
        } else {
            state.clear |= 1;
        }
        let after = place + 1 + len;
        if from + after as usize >= bytes.len() {
            continue;
        }
        if after < 64 {
            cuts |= 1 << after;
            starts |= apostrophe & 1 << after;
        } else {
            state.set |= 1 << (after - 64);
        }
    }
    state.class = bytes.get(end.wrapping_sub(1)).map_or(0, |_| {
        let last = 1_u64 << (block.len() - 1);
        let bit = |mask: u64, class: u8| if mask & last == 0 { 0 } else { class };
        bit(letter, LETTER)
            | bit(number, NUMBER)
            | bit(white, WHITE)
            | bit(space, SPACE)
            | bit(other, OTHER)
    });
    if from == 0 { cuts & !1 } else { cuts }
}

/// Returns how many bytes after an apostrophe make a contraction.
fn contraction(after: &[u8]) -> Option<u32> {
    match after {
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        _ => None,
    }
}

fn class_at(text: &str, at: usize) -> u8 {
    text[at..].chars().next().map_or(OTHER, |character| CLASSES[character as usize])
}

/// The class of the character at `at`, or of the one that `at` stands within.
fn class_at_any(text: &str, at: usize) -> u8 {
    class_at(text, text.floor_char_boundary(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    fn cuts(level: Level, text: &str) -> Vec<usize> {
        let mut state = PatternState::default();
        let mut found = Vec::new();
        for from in (0..text.len()).step_by(64) {
            let mut mask = cut_mask(level, text, from, &mut state);
            while mask != 0 {
                found.push(from + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
        }
        found
    }

    fn oracle(text: &str) -> Vec<usize> {
        let mut pretokenized = PreTokenizedString::from(text);
        ByteLevel::new(false, true, true).pre_tokenize(&mut pretokenized).unwrap();
        pretokenized
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (start, _), _)| start)
            .filter(|&start| start > 0)
            .collect()
    }

    fn check(text: &str) {
        let expected = oracle(text);
        for level in [Level::Plain, Level::detect()] {
            assert_eq!(cuts(level, text), expected, "{text:?} at {level:?}");
        }
    }

    #[test]
    fn contractions_and_spaces_are_cut_as_the_pattern_says() {
        for text in [
            "I'm sure they're here; it's John's, isn't it?",
            "''s 's'd 'll'' '",
            "a  b   c\n\nd \n e\t\tf  ",
            "x\u{a0}\u{a0}y \u{3000} z\u{2003}",
            "naïve Ünïcödé 中文字 和 ١٢٣ 1²³ '속",
        ] {
            check(text);
        }
        let padded = |n: usize| format!("{}'re'll  's  x\u{3000}\u{3000}é's", "a".repeat(n));
        (50..70).for_each(|n| check(&padded(n)));
    }

    #[test]
    fn every_character_has_the_class_that_the_pattern_gives_it() {
        for first in (0..0x11_0000_u32).step_by(64) {
            // `x` and `1` around a character show whether it is a letter, a number or neither.
            let text: String = (first..first + 64)
                .filter_map(char::from_u32)
                .flat_map(|character| ['x', character, '1', character, '!', character, ' '])
                .collect();
            check(&text);
        }
    }

    proptest! {
        /// Any text is cut as Hugging Face's pre-tokenizer cuts it.
        #[test]
        fn cuts_agree_with_the_oracle(text in "([a-c'srtvelmd ]|[ \n\t]{1,3}|[é中٣²\u{a0}\u{3000}!.]|\\PC){0,150}") {
            check(&text);
        }
    }
}

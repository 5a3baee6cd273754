//! GPT-2's pattern: the ends of its units, found by masks.
//!
//! The pattern is
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. Each character is
//! a letter, a number, white space or something else, and a unit ends
//!
//! 1. where the class changes, unless the character before is a plain space and the one after is
//!    no white space (the space belongs to the word);
//! 2. before the last white space of a run that something follows (`\s+(?!\S)` gives it back);
//! 3. after a contraction that begins a unit, and nowhere within one.

use std::sync::LazyLock;

use super::char_class::{self, class_of};
use super::contraction;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{ClassMasks, Level, class_masks};

/// The pattern of GPT-2, which `ByteLevel` has inside.
pub(crate) const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The same, as `tiktoken` writes it.
const TIKTOKEN: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Returns whether a pattern is GPT-2's, which GPT-NeoX, OPT and `RoBERTa` use too.
pub(crate) fn is_gpt2(regex: &str) -> bool {
    [GPT2, TIKTOKEN].contains(&regex)
}

const LETTER: u8 = 1;
const NUMBER: u8 = 2;
const WHITE: u8 = 4;
const SPACE: u8 = 8; // also WHITE
const OTHER: u8 = 16;
const APOSTROPHE: u8 = 32; // also OTHER

/// Returns the class that this pattern gives a character.
fn class_for(character: char) -> u8 {
    match (character, class_of(character)) {
        (' ', _) => WHITE | SPACE,
        ('\'', _) => OTHER | APOSTROPHE,
        (_, class) if class & char_class::LETTER != 0 => LETTER,
        (_, class) if class & char_class::NUMBER != 0 => NUMBER,
        (_, class) if class & char_class::WHITE != 0 => WHITE,
        _ => OTHER,
    }
}

/// The classes of ASCII, for the vector form.
static ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| {
    let class = |at: usize| u8::try_from(at).map_or(OTHER, |byte| class_for(byte.into()));
    std::array::from_fn(class)
});

/// The state of the scan of one text, between two blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gpt2State {
    class: u8, // of the last byte; 0 before the first
    clear: u64,
    set: u64,
}

/// The classes of one block's bytes, one bit each.
struct Classes {
    letter: u64,
    number: u64,
    white: u64,
    space: u64,
    other: u64,
    apostrophe: u64,
    /// Bytes that continue a character.
    continuation: u64,
    /// First bytes of white space of several bytes.
    wide_white: u64,
}

impl Classes {
    fn of(level: Level, text: &str, from: usize, block: &[u8], before: u8) -> Self {
        let ClassMasks { classes, beyond } = class_masks(level, &ASCII, block);
        let [letter, number, white, space, other, apostrophe, ..] = classes;
        // Bytes beyond ASCII were looked up by their low seven bits, which means nothing.
        let mut classes = Self {
            letter: letter & !beyond,
            number: number & !beyond,
            white: white & !beyond,
            space: space & !beyond,
            other: other & !beyond,
            apostrophe: apostrophe & !beyond,
            continuation: 0,
            wide_white: 0,
        };
        let mut class = before;
        for place in mask::places(beyond) {
            let (bit, at) = (1 << place, from + place);
            let only = |is: bool| if is { bit } else { 0 };
            if text.as_bytes()[at] & 0xC0 == 0x80 {
                classes.continuation |= bit;
            } else {
                class = class_at(text, at);
                classes.wide_white |= only(class & WHITE != 0);
            }
            classes.letter |= only(class & LETTER != 0);
            classes.number |= only(class & NUMBER != 0);
            classes.white |= only(class & WHITE != 0);
            classes.other |= only(class & OTHER != 0);
        }
        classes
    }

    /// Returns the class of one byte.
    fn at(&self, place: usize) -> u8 {
        let bit = |mask: u64, class: u8| if mask >> place & 1 == 1 { class } else { 0 };
        bit(self.letter, LETTER)
            | bit(self.number, NUMBER)
            | bit(self.white, WHITE)
            | bit(self.space, SPACE)
            | bit(self.other, OTHER)
    }
}

/// Returns the cuts of the block of up to 64 bytes that begins at `from`.
pub(crate) fn cut_mask(level: Level, text: &str, from: usize, state: &mut Gpt2State) -> u64 {
    let bytes = text.as_bytes();
    let block = &bytes[from..bytes.len().min(from + BLOCK)];
    let end = from + block.len();
    let live = mask::first(block.len());
    let classes = Classes::of(level, text, from, block, state.class);
    let before = |mask: u64, class: u8| mask << 1 | u64::from(state.class & class != 0);
    let white_before = before(classes.white, WHITE);
    let same = classes.letter & before(classes.letter, LETTER)
        | classes.number & before(classes.number, NUMBER)
        | classes.white & white_before
        | classes.other & before(classes.other, OTHER);
    let mut cuts = !same & !(before(classes.space, SPACE) & !classes.white);
    let solid_at =
        |at: usize| at < bytes.len() && class_at(text, text.floor_char_boundary(at)) & WHITE == 0;
    let solid_after = (!classes.white & live) >> 1 | u64::from(solid_at(end)) << (block.len() - 1);
    cuts |= classes.white & white_before & solid_after;
    cuts &= live & !classes.continuation;
    for place in mask::places(classes.wide_white & white_before) {
        // A white space of several bytes: look at what follows after all of them.
        let at = from + place;
        let next = at + text[at..].chars().next().map_or(1, char::len_utf8);
        cuts |= u64::from(solid_at(next)) << place;
    }
    cuts = cuts & !state.clear | state.set & live;
    (state.clear, state.set) = (0, 0);
    let starts = classes.apostrophe & (cuts | u64::from(from == 0));
    cuts = cut_contractions(bytes, from, cuts, starts, classes.apostrophe, state);
    state.class = classes.at(block.len() - 1);
    if from == 0 { cuts & !1 } else { cuts }
}

/// Corrects the cuts after apostrophes that begin a unit; a cut in the next block is noted.
fn cut_contractions(
    bytes: &[u8],
    from: usize,
    mut cuts: u64,
    mut starts: u64,
    apostrophes: u64,
    state: &mut Gpt2State,
) -> u64 {
    while starts != 0 {
        let place = starts.trailing_zeros() as usize;
        starts &= starts - 1;
        let len = contraction::exact(&bytes[from + place + 1..]);
        if len == 0 {
            continue;
        }
        // The unit's second byte begins no unit, the byte after the contraction does.
        if place + 1 < BLOCK {
            cuts &= !(1 << (place + 1));
        } else {
            state.clear |= 1;
        }
        let after = place + 1 + len;
        if from + after >= bytes.len() {
            continue;
        }
        if after < BLOCK {
            cuts |= 1 << after;
            starts |= apostrophes & 1 << after;
        } else {
            state.set |= 1 << (after - BLOCK);
        }
    }
    cuts
}

fn class_at(text: &str, at: usize) -> u8 {
    text[at..].chars().next().map_or(OTHER, class_for)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    fn cuts(level: Level, text: &str) -> Vec<usize> {
        let mut state = Gpt2State::default();
        let mut found = Vec::new();
        for from in (0..text.len()).step_by(BLOCK) {
            let cuts = cut_mask(level, text, from, &mut state);
            found.extend(mask::places(cuts).map(|place| from + place));
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
        for level in Level::available() {
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

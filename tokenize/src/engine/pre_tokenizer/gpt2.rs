//! GPT-2's pattern, unit by unit.
//!
//! The pattern is
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. Each character is
//! a letter, a number, white space or something else, and a unit ends
//!
//! 1. where the class changes, unless the character before is a plain space and the one after is
//!    no white space (the space belongs to the word);
//! 2. before the last white space of a run that something follows (`\s+(?!\S)` gives it back);
//! 3. after a contraction that begins a unit, and nowhere within one.
//!
//! `unit_blocks.rs` is the fast form.

use super::block_classes::gpt2_class;
use super::{char_class, contraction};

/// The pattern of GPT-2, which `ByteLevel` has inside.
pub(crate) const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The same, as `tiktoken` writes it.
const TIKTOKEN: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Returns whether a pattern is GPT-2's, which GPT-NeoX, OPT and `RoBERTa` use too.
pub(crate) fn is_gpt2(regex: &str) -> bool {
    [GPT2, TIKTOKEN].contains(&regex)
}

/// Returns the end of the unit that begins at `start`, which is before the end of the text.
pub(super) fn unit_end(text: &str, start: usize) -> usize {
    let (first, rest) = (text.as_bytes()[start], &text[start..]);
    if first == b'\'' {
        let len = contraction::exact(&rest.as_bytes()[1..]);
        if len > 0 {
            return start + 1 + len;
        }
    }
    let mut classes = rest.chars().map(gpt2_class);
    let class = match (classes.next(), classes.next()) {
        (Some(_), Some(next)) if first == b' ' && next != char_class::WHITE => next,
        (class, _) => class.unwrap_or(0),
    };
    let led = usize::from(first == b' ' && class != char_class::WHITE);
    let run = rest[led..].chars().take_while(|&character| gpt2_class(character) == class);
    let end = start + led + run.map(char::len_utf8).sum::<usize>();
    if class == char_class::WHITE && end < text.len() {
        // What something follows gives its last character back, if it has another.
        let last = text[start..end].chars().next_back().map_or(0, char::len_utf8);
        return if end - start > last { end - last } else { end };
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;
    use crate::engine::pre_tokenizer::pattern::Pattern;
    use crate::engine::simd::Level;

    fn oracle(text: &str) -> Vec<usize> {
        let mut pretokenized = PreTokenizedString::from(text);
        ByteLevel::new(false, true, true).pre_tokenize(&mut pretokenized).unwrap();
        pretokenized
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (_, end), _)| end)
            .collect()
    }

    fn check(text: &str) {
        let expected = oracle(text);
        let mut walked = Vec::new();
        while walked.last().is_none_or(|&end| end < text.len()) && !text.is_empty() {
            walked.push(unit_end(text, walked.last().copied().unwrap_or(0)));
        }
        assert_eq!(walked, expected, "{text:?}");
        for level in Level::available() {
            assert_eq!(Pattern::Gpt2.ends(level, text), expected, "{text:?} at {level:?}");
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

//! The patterns of GPT-4's family, unit by unit.
//!
//! Each pattern is a list of alternatives, of which the first that matches makes the unit:
//!
//! | | cl100k, Llama 3 | Qwen 2 | o200k |
//! |---|---|---|---|
//! | contraction | `(?i:'s\|'t\|'re\|'ve\|'m\|'ll\|'d)` | the same | ends a word instead |
//! | word | `[^\r\n\p{L}\p{N}]?\p{L}+` | the same | by case, see [`Walk::cased_word`] |
//! | number | `\p{N}{1,3}` | `\p{N}` | `\p{N}{1,3}` |
//! | other | ` ?[^\s\p{L}\p{N}]+[\r\n]*` | the same | … `[\r\n/]*` |
//! | white | `\s*[\r\n]+\|\s+(?!\S)\|\s+` | the same | the same |
//!
//! A walk follows the alternatives word for word. It finds the end of a run of characters of some classes as the first
//! zero of a mask of 64 bytes. `unit_blocks.rs` is a faster form, which leaves some units to the walk.

use super::char_class::{
    ASCII, LETTER, LOWER, MARK, NEWLINE, NUMBER, OTHER, UNCASED, UPPER, WHITE, class_of,
};
use super::contraction;
use crate::engine::mask::{self, BLOCK};
use crate::engine::simd::{ClassMasks, Level, class_masks};

/// How the patterns of this family differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How many digits make a unit at most.
    pub(super) digits: usize,
    /// Whether words end where their case does, take a contraction with them, and a slash may follow
    /// what is neither letter nor number.
    pub(super) cased: bool,
}

impl Rules {
    /// Recognizes a pattern by its text.
    pub(crate) fn from_regex(regex: &str) -> Option<Self> {
        const UNCASED_WORDS: [&str; 2] = [
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ];
        const CASED: &str = concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
            r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        );
        let [before, after] = UNCASED_WORDS;
        match regex.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) {
            Some(r"\p{N}{1,3}") => Some(Self { digits: 3, cased: false }),
            Some(r"\p{N}") => Some(Self { digits: 1, cased: false }),
            _ => (regex == CASED).then_some(Self { digits: 3, cased: true }),
        }
    }
}

/// A walk over one text.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(super) rules: Rules,
    pub(super) level: Level,
    pub(super) text: &'a str,
    /// Where the block begins whose masks are at hand.
    block: usize,
    /// For each class, which bytes of the block belong to it; continuations belong to their character.
    masks: [u64; 8],
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    pub(crate) fn new(rules: Rules, level: Level, text: &'a str) -> Self {
        Self { rules, level, text, block: usize::MAX, masks: [0; 8] }
    }

    /// Returns the end of the unit that begins at `start`, which is before the end of the text.
    pub(crate) fn unit_end(&mut self, start: usize) -> usize {
        let class = self.class_at(start);
        let first = self.text.as_bytes()[start];
        let word = if self.rules.cased {
            self.cased_word(start, class).map(|end| end + contraction_at(self.text, end))
        } else if first == b'\'' && contraction_at(self.text, start) > 0 {
            Some(start + contraction_at(self.text, start))
        } else {
            self.word(start, class)
        };
        if let Some(end) = word {
            return end;
        }
        if class & NUMBER != 0 {
            return self.number(start);
        }
        let other = start + usize::from(first == b' ');
        if self.class_at(other) & OTHER != 0 {
            let end = self.run(other, OTHER);
            return self.line_ends(end);
        }
        self.white(start)
    }

    /// `[^\r\n\p{L}\p{N}]?\p{L}+`
    fn word(&mut self, start: usize, class: u8) -> Option<usize> {
        if class & LETTER != 0 {
            return Some(self.run(start, LETTER));
        }
        let letters = self.after_one(start, class)?;
        (self.class_at(letters) & LETTER != 0).then(|| self.run(letters, LETTER))
    }

    /// With `U` for `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, `L` for `[\p{Ll}\p{Lm}\p{Lo}\p{M}]` and `x` for
    /// `[^\r\n\p{L}\p{N}]`: `x?U*L+`, or else `x?U+L*`.
    ///
    /// The first is tried with `x` and without it, then the second. Where the first fails there is no
    /// character of `L` behind `x?`, so of the second `U+` remains, upper case alone.
    fn cased_word(&mut self, start: usize, class: u8) -> Option<usize> {
        let after = self.after_one(start, class);
        if let Some(end) = after.and_then(|after| self.ends_low(after)) {
            return Some(end);
        }
        if class & (LETTER | MARK) != 0
            && let Some(end) = self.ends_low(start)
        {
            return Some(end);
        }
        let upper = after.unwrap_or(start);
        (self.class_at(upper) & UPPER != 0).then(|| self.run(upper, UPPER))
    }

    /// `U*L+`: as much as possible of `U`, of which the last that is in `L`, too, is given back where
    /// nothing else of `L` follows.
    fn ends_low(&mut self, start: usize) -> Option<usize> {
        let upper = self.run(start, UPPER | UNCASED | MARK);
        let lower = self.run(upper, LOWER | UNCASED | MARK);
        if lower > upper {
            return Some(lower);
        }
        let run = &self.text[start..upper];
        let both = |c: &(usize, char)| class_of(c.1) & (UNCASED | MARK) != 0;
        let last = run.char_indices().rev().find(both);
        last.map(|(at, character)| start + at + character.len_utf8())
    }

    /// Returns where the text continues after one character of `[^\r\n\p{L}\p{N}]`, if it is one.
    fn after_one(&self, start: usize, class: u8) -> Option<usize> {
        let allowed = class & (LETTER | NUMBER | NEWLINE) == 0;
        allowed.then(|| start + self.text[start..].chars().next().map_or(0, char::len_utf8))
    }

    /// `\p{N}{1,3}`
    fn number(&mut self, start: usize) -> usize {
        let digits = self.text[start..].chars().take(self.rules.digits);
        start + digits.take_while(|&c| class_of(c) & NUMBER != 0).map(char::len_utf8).sum::<usize>()
    }

    /// `[\r\n]*`, or `[\r\n/]*`
    fn line_ends(&self, start: usize) -> usize {
        let slash = self.rules.cased;
        let ends = |byte: &&u8| matches!(byte, b'\r' | b'\n') || (slash && **byte == b'/');
        start + self.text.as_bytes()[start..].iter().take_while(ends).count()
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    fn white(&mut self, start: usize) -> usize {
        let end = self.run(start, WHITE);
        let run = &self.text[start..end];
        if let Some(newline) = run.bytes().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
            return start + newline + 1;
        }
        // What something follows gives its last character back, if it has another.
        let last = run.chars().next_back().map_or(0, char::len_utf8);
        if end < self.text.len() && run.len() > last { end - last } else { end }
    }

    /// Returns the end of the run of characters of some of these classes that begins at `at`.
    #[inline]
    fn run(&mut self, mut at: usize, classes: u8) -> usize {
        while at < self.text.len() {
            self.load(at / BLOCK * BLOCK);
            let mask = (0..8).fold(0, |mask, bit| {
                mask | if classes >> bit & 1 == 1 { self.masks[bit] } else { 0 }
            });
            let place = at - self.block;
            let run = (mask >> place).trailing_ones() as usize;
            at += run;
            if place + run < BLOCK {
                break;
            }
        }
        at
    }

    /// Returns the class of the character at `at`; none at the end of the text.
    #[inline]
    fn class_at(&self, at: usize) -> u8 {
        match self.text.as_bytes().get(at) {
            Some(&byte) if byte < 128 => ASCII[usize::from(byte)],
            Some(_) => self.text[at..].chars().next().map_or(0, class_of),
            None => 0,
        }
    }

    /// Makes the masks of the block that begins at `block`.
    #[inline]
    fn load(&mut self, block: usize) {
        if self.block == block {
            return;
        }
        self.block = block;
        let bytes = &self.text.as_bytes()[block..self.text.len().min(block + BLOCK)];
        let ClassMasks { classes, beyond } = class_masks(self.level, &ASCII, bytes);
        self.masks = classes;
        if beyond != 0 {
            self.load_beyond(beyond);
        }
    }

    /// Puts right what the masks say of bytes beyond ASCII.
    #[inline(never)]
    fn load_beyond(&mut self, beyond: u64) {
        self.masks.iter_mut().for_each(|mask| *mask &= !beyond);
        let mut rest = beyond;
        while rest != 0 {
            let at = self.block + rest.trailing_zeros() as usize;
            let start = self.text.floor_char_boundary(at);
            let character = self.text[start..].chars().next().unwrap_or(' ');
            let end = start + character.len_utf8() - self.block;
            let bytes = mask::first(end) & !mask::first(at - self.block);
            let class = class_of(character);
            for (bit, mask) in self.masks.iter_mut().enumerate() {
                *mask |= if class >> bit & 1 == 1 { bytes } else { 0 };
            }
            rest &= !bytes;
        }
    }
}

/// Returns how many bytes `(?i:'s|'t|'re|'ve|'m|'ll|'d)` matches at `at`.
fn contraction_at(text: &str, at: usize) -> usize {
    match text.as_bytes()[at..].split_first() {
        Some((b'\'', after)) => match contraction::any_case(after) {
            0 => 0,
            len => 1 + len,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    };

    use super::*;
    use crate::engine::pre_tokenizer::pattern::Pattern;

    const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    fn ends(rules: Rules, level: Level, text: &str) -> Vec<usize> {
        let mut walk = Walk::new(rules, level, text);
        let mut ends = vec![0];
        while ends[ends.len() - 1] < text.len() {
            ends.push(walk.unit_end(ends[ends.len() - 1]));
        }
        ends
    }

    fn oracle(split: &Split, text: &str) -> Vec<usize> {
        let mut pretokenized = PreTokenizedString::from(text);
        split.pre_tokenize(&mut pretokenized).unwrap();
        let splits = pretokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
        std::iter::once(0).chain(splits.into_iter().map(|(_, (_, end), _)| end)).collect()
    }

    /// Each pattern as rules, and as the pre-tokenizer that they are tested against.
    fn patterns() -> Vec<(Rules, Split)> {
        [LLAMA3, QWEN2, O200K]
            .into_iter()
            .map(|regex| {
                let pattern = SplitPattern::Regex(regex.into());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap();
                (Rules::from_regex(regex).unwrap(), split)
            })
            .collect()
    }

    fn check(patterns: &[(Rules, Split)], text: &str) {
        for (rules, split) in patterns {
            let expected = oracle(split, text);
            for level in Level::available() {
                assert_eq!(ends(*rules, level, text), expected, "{text:?}, {rules:?}, {level:?}");
                let found = Pattern::Gpt4(*rules).ends(level, text);
                assert_eq!(found, expected[1..], "{text:?}, {rules:?}, {level:?}, by blocks");
            }
        }
    }

    #[test]
    fn units_end_where_the_patterns_say() {
        let patterns = patterns();
        for text in [
            "",
            "I'm SURE they'RE here; it'ſ John'S, isn't it? 'x ''s 'll''",
            "Hello helloWorld HTTPServer NASA's ABCdefGHI中文abc DEF中 Ⅷ ǅungla",
            "1 12 123 1234 12345678 1²³४५६ x1y22z333",
            "!!!\n\n  \n x ... /// //\n/ a/b c//\r\n d",
            "a  b   c\n\nd \n e\t\tf  \u{a0}\u{3000} \r\n \t",
            "e\u{301}\u{302}E\u{301}A \u{301}\u{301}AB x\u{301}'s \u{903}a",
            "  a \t.b \n.c\t d (e) -f --g",
            "a.\r\n\r\n  \n \u{3000}b.\n.c\n\n.d '\n'll\n 'm\u{2003}'s é'sé\u{301}a ·a ··a  ·a",
            "}\n\n// a\n/b\r\n/\n/*c*/ it's's's don'Tx 'sS's don'rEad HTTP'll's X'ſ éÉ'd aª'S a\u{301}'sb º'll",
            "12345\u{664}\u{665}\u{666}\u{667}\u{668}\u{669} ½½½½½x½½½½ ..\u{85}\n\u{2028}\r\n",
        ] {
            check(&patterns, text);
            for padding in 50..70 {
                check(&patterns, &format!("{}{text}", "a".repeat(padding)));
            }
        }
    }

    #[test]
    fn every_character_is_taken_as_the_patterns_take_it() {
        let patterns = patterns();
        for first in (0..0x11_0000_u32).step_by(64) {
            // What stands around a character shows its class.
            let text: String = (first..first + 64)
                .filter_map(char::from_u32)
                .flat_map(|c| [c, 'x', c, 'Q', c, '1', c, '!', c, ' ', c, c, '\n', 'A', c, '.'])
                .collect();
            check(&patterns, &text);
        }
    }

    proptest! {
        /// Any text is cut as Hugging Face's pre-tokenizer cuts it.
        #[test]
        fn ends_agree_with_the_oracle(
            text in "([a-c'srtvelmdSTRVELMD ]|[A-C]|[ \n\r\t]{1,4}|[0-9]{1,5}|[éÉ中٣²ªʰ\u{301}\u{a0}\u{3000}/!.]|\\PC){0,150}"
        ) {
            check(&patterns(), &text);
        }
    }
}

//! DeepSeek-V3's three patterns, one after the other, unit by unit.
//!
//! Each pattern splits the pieces that the one before has left:
//!
//! 1. `\p{N}{1,3}`
//! 2. `[一-龥぀-ゟ゠-ヿ]+`
//! 3. ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+``, or `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`, or
//!    ` ?[\p{P}\p{S}]+[\r\n]*`, or `\s*[\r\n]+|\s+(?!\S)|\s+`
//!
//! So the third splits numbers, runs of Chinese or Japanese characters, and what is between them, each as a text of its
//! own: white space before a number sees the end of its text. What the third does not match, such as a number or a
//! control character, is a unit of its own.
//! `unit_blocks.rs` is the fast form.

use std::sync::LazyLock;

use super::char_class::{self, ranges};

/// The three patterns.
const PATTERNS: [&str; 3] = [
    r"\p{N}{1,3}",
    "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##,
        "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|",
        r"\s+(?!\S)|\s+",
    ),
];

/// How many digits make a unit at most.
pub(super) const DIGITS: usize = 3;

/// Returns whether patterns, each of which keeps its matches and what is between them, are these.
pub(crate) fn is_deepseek(patterns: &[&str]) -> bool {
    patterns == PATTERNS
}

/// What the patterns distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `\p{N}`
    Number,
    /// `[\p{L}\p{M}]`
    Letter,
    /// `\s`
    White,
    /// `[\p{P}\p{S}]`
    Sign,
    /// Anything else.
    Nothing,
}

/// Returns the classes of all characters, by their numbers.
pub(super) fn classes() -> &'static [Class] {
    static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
        let mut classes: Vec<Class> = char_class::all().iter().map(|&class| of(class)).collect();
        for (first, last) in ranges(r"[\p{P}\p{S}]") {
            classes[first as usize..=last as usize].fill(Class::Sign);
        }
        classes
    });
    &CLASSES
}

/// Returns whether a character is of the second pattern.
pub(super) fn is_han(character: char) -> bool {
    matches!(character, '\u{4e00}'..='\u{9fa5}' | '\u{3040}'..='\u{309f}' | '\u{30a0}'..='\u{30ff}')
}

fn of(class: u8) -> Class {
    if class & (char_class::LETTER | char_class::MARK) != 0 {
        Class::Letter
    } else if class & char_class::NUMBER != 0 {
        Class::Number
    } else if class & char_class::WHITE != 0 {
        Class::White
    } else {
        Class::Nothing
    }
}

/// Returns how much memory the classes take, in bytes.
pub(super) fn memory() -> usize {
    classes().len()
}

/// A walk over one text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    text: &'a str,
    classes: &'static [Class],
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, classes: classes() }
    }

    /// Returns the end of the unit that begins at `start`, which is before the end of the text.
    pub(super) fn unit_end(&self, start: usize) -> usize {
        let Some(first) = self.text[start..].chars().next() else { return start };
        if self.classes[first as usize] == Class::Number {
            let run = self.text[start..].chars().take(DIGITS);
            let run = run.take_while(|&c| self.classes[c as usize] == Class::Number);
            return start + run.map(char::len_utf8).sum::<usize>();
        }
        let piece = Piece { text: self.text, classes: self.classes, is_han: is_han(first) };
        piece.matched(start).unwrap_or_else(|| piece.unmatched(start))
    }
}

/// What the first two patterns leave to the third: a text with Chinese or Japanese characters alone, or with none.
struct Piece<'a> {
    text: &'a str,
    classes: &'static [Class],
    is_han: bool,
}

impl Piece<'_> {
    /// Returns the end of the third pattern's match at `start`.
    fn matched(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let next = start + self.text[start..].chars().next()?.len_utf8();
        let (class, then) = (self.class_at(start)?, self.class_at(next));
        let first = bytes[start];
        if first.is_ascii_punctuation() && bytes.get(next).is_some_and(u8::is_ascii_alphabetic) {
            let letters = bytes[next..].iter().take_while(|byte| byte.is_ascii_alphabetic());
            return Some(next + letters.count());
        }
        let leads = class != Class::Sign && !matches!(first, b'\r' | b'\n');
        if class == Class::Letter || leads && then == Some(Class::Letter) {
            return Some(self.run(next, Class::Letter));
        }
        if class == Class::Sign || first == b' ' && then == Some(Class::Sign) {
            let end = self.run(next, Class::Sign);
            let is_line_end = |byte: &&u8| !self.is_han && matches!(byte, b'\r' | b'\n');
            return Some(end + bytes[end..].iter().take_while(is_line_end).count());
        }
        (class == Class::White).then(|| self.white(start))
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`
    fn white(&self, start: usize) -> usize {
        let end = self.run(start, Class::White);
        let run = &self.text[start..end];
        if let Some(line_end) = run.bytes().rposition(|byte| matches!(byte, b'\r' | b'\n')) {
            return start + line_end + 1;
        }
        let last = run.chars().next_back().map_or(0, char::len_utf8);
        if self.class_at(end).is_some() && run.len() > last { end - last } else { end }
    }

    /// Returns where the first match after `start` begins, or the piece ends.
    fn unmatched(&self, start: usize) -> usize {
        let mut rest = self.text[start..].char_indices().skip(1).map(|(at, _)| start + at);
        let ends = |at: &usize| self.class_at(*at).is_none() || self.matched(*at).is_some();
        rest.find(ends).unwrap_or(self.text.len())
    }

    /// Returns the end of a run of a class.
    fn run(&self, start: usize, of: Class) -> usize {
        let run = self.text[start..].chars().take_while(|&c| self.class_of(c) == Some(of));
        start + run.map(char::len_utf8).sum::<usize>()
    }

    /// Returns the class of the character at `at`; none at the end of the piece.
    fn class_at(&self, at: usize) -> Option<Class> {
        self.class_of(self.text[at..].chars().next()?)
    }

    /// Returns the class of a character; none of one that ends the piece.
    fn class_of(&self, character: char) -> Option<Class> {
        let class = self.classes[character as usize];
        (class != Class::Number && is_han(character) == self.is_han).then_some(class)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::sequence::Sequence;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
        SplitDelimiterBehavior,
    };

    use super::*;
    use crate::engine::pre_tokenizer::pattern::Pattern;
    use crate::engine::simd::Level;

    fn oracle() -> Sequence {
        let split = |pattern: &str| {
            let pattern = SplitPattern::Regex(pattern.into());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap();
            PreTokenizerWrapper::Split(split)
        };
        Sequence::new(PATTERNS.map(split).into())
    }

    fn check(oracle: &Sequence, text: &str) {
        let mut pretokenized = PreTokenizedString::from(text);
        oracle.pre_tokenize(&mut pretokenized).unwrap();
        let splits = pretokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let expected: Vec<usize> = splits.into_iter().map(|(_, (_, end), _)| end).collect();
        let walk = Walk::new(text);
        let mut walked = Vec::new();
        while walked.last().is_none_or(|&end| end < text.len()) && !text.is_empty() {
            walked.push(walk.unit_end(walked.last().copied().unwrap_or(0)));
        }
        assert_eq!(walked, expected, "{text:?}");
        for level in Level::available() {
            assert_eq!(Pattern::DeepSeek.ends(level, text), expected, "{text:?} at {level}");
        }
    }

    #[test]
    fn units_end_where_the_patterns_say() {
        let oracle = oracle();
        for text in [
            "",
            "I'm here; it's (foo) .bar ..baz _x_y --g -1 1234567",
            "a  1  中  b\t\t1\t\tc \n 1\n  \n",
            "naïve .naïve (éa \u{301}a a\u{301} .\u{301} “foo” «é»",
            "\u{1}\u{2}a\u{1} \u{1}1\u{1}中\u{200d}\u{200d}.a",
            "漢字かなカナ・ー。文、a中b 1中2 ، ١٢٣٤",
            "}\n\n// a\n/b\r\n/\n  x\u{3000}\u{a0}y\u{a0}\u{3000}1 ❤\u{fe0f}\u{fe0f}a",
        ] {
            check(&oracle, text);
            for padding in 50..70 {
                check(&oracle, &format!("{}{text}", "a".repeat(padding)));
                check(&oracle, &format!("{}{text}", "a ".repeat(padding)));
            }
        }
    }

    #[test]
    fn every_character_is_taken_as_the_patterns_take_it() {
        let oracle = oracle();
        for first in (0..0x11_0000_u32).step_by(64) {
            let text: String = (first..first + 64)
                .filter_map(char::from_u32)
                .flat_map(|c| [c, 'x', c, '1', c, '!', c, ' ', c, c, '\n', '中', c, '.', c])
                .collect();
            check(&oracle, &text);
        }
    }

    proptest! {
        /// Any text is cut as Hugging Face's pre-tokenizers cut it.
        #[test]
        fn ends_agree_with_the_oracle(
            text in "([a-c' ]|[A-C]|[ \n\r\t]{1,4}|[0-9]{1,5}|[é中か٣²ʰ\u{301}\u{a0}\u{3000}\u{1}/!.“]|\\PC){0,150}"
        ) {
            check(&oracle(), &text);
        }
    }
}

//! What of a text counts when it is compared, and the parts in which it is compared.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What of a text counts when texts are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Every byte.
    None,
    /// All but the amount of white space.
    #[default]
    Space,
    /// Letters and digits in lower case.
    Words,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Whole texts.
    #[default]
    Document,
    /// Parts of a text between blank lines.
    Paragraph,
    /// Lines.
    Line,
}

impl Unit {
    /// Returns what a part is called in reasons.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Paragraph => "paragraph",
            Self::Line => "line",
        }
    }

    /// Returns the parts of a text, each with the line ends behind it.
    pub(crate) fn parts(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::Document => std::iter::once(0..text.len()).collect(),
            Self::Line => {
                let mut begin = 0;
                text.split_inclusive('\n')
                    .map(|line| {
                        let at = begin..begin + line.len();
                        begin = at.end;
                        at
                    })
                    .collect()
            }
            Self::Paragraph => {
                let mut parts: Vec<Range<usize>> = Vec::new();
                let mut was_blank = false;
                for line in Self::Line.parts(text) {
                    let blank = text[line.clone()].trim().is_empty();
                    match parts.last_mut() {
                        Some(part) if blank || !was_blank => part.end = line.end,
                        _ => parts.push(line),
                    }
                    was_blank = blank;
                }
                parts
            }
        }
    }
}

/// Writes what counts of a text to a buffer, and returns how many words that has.
pub(crate) fn normalize(text: &str, with: Normalize, out: &mut String) -> usize {
    out.clear();
    match with {
        Normalize::None => {
            out.push_str(text);
            text.split_whitespace().count()
        }
        Normalize::Space => join_words(text, out),
        Normalize::Words => {
            let mut words = 0;
            let mut inside = false;
            for sign in text.chars() {
                if !sign.is_alphanumeric() {
                    inside = false;
                    continue;
                }
                if !inside {
                    if words > 0 {
                        out.push(' ');
                    }
                    words += 1;
                }
                inside = true;
                if sign.is_ascii() {
                    out.push(sign.to_ascii_lowercase());
                } else {
                    out.extend(sign.to_lowercase());
                }
            }
            words
        }
    }
}

/// Returns 1 for a byte that begins a character that may be white space, other than a space.
///
/// Unicode's white space is U+0009 to U+000D, U+0020, U+0085, U+00A0, U+1680, some from U+2000 to U+205F, U+3000.
fn other_space(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(b'\t') < 5)
        | u8::from(byte == 0xc2)
        | u8::from(byte.wrapping_sub(0xe1) < 3)
}

fn may_be_space(byte: u8) -> bool {
    byte == b' ' || other_space(byte) == 1
}

/// How many bytes are looked at together.
const BLOCK: usize = 32;

/// Returns how many bytes from the beginning are of whole blocks without other white space than single spaces, and
/// how many spaces these have.
fn plain_blocks(bytes: &[u8]) -> (usize, usize) {
    let (mut at, mut spaces) = (0, 0);
    while let Some(block) = bytes[at..].first_chunk::<{ BLOCK + 1 }>() {
        // Without branches, so that the compiler takes many bytes at a time.
        let (mut odd, mut here) = (0, 0);
        for (byte, next) in block.iter().zip(&block[1..]) {
            let space = u8::from(*byte == b' ');
            odd |= other_space(*byte) | (space & (other_space(*next) | u8::from(*next == b' ')));
            here += space;
        }
        if odd != 0 {
            break;
        }
        spaces += usize::from(here);
        at += BLOCK;
    }
    (at, spaces)
}

/// Writes the words of a text with one space between two, and returns how many there are.
///
/// Single spaces stay where they are, so that most of a text is copied at once.
fn join_words(text: &str, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    let word_after = |at: usize| text.len() - text[at..].trim_start().len();
    let mut words = 0;
    // A word begins at `copied`, and all before it is written.
    let mut copied = word_after(0);
    let mut at = copied;
    while copied < text.len() {
        let (plain, spaces) = plain_blocks(&bytes[at..]);
        at += plain;
        words += spaces;
        let Some(found) = bytes[at..].iter().position(|&byte| may_be_space(byte)) else {
            out.push_str(&text[copied..]);
            return words + 1;
        };
        at += found;
        let sign = text[at..].chars().next().unwrap_or(' ');
        if !sign.is_whitespace() {
            at += sign.len_utf8();
            continue;
        }
        words += 1;
        let is_single = bytes.get(at + 1).is_some_and(|&next| !may_be_space(next));
        if sign == ' ' && is_single {
            at += 1;
            continue;
        }
        out.push_str(&text[copied..at]);
        at = word_after(at);
        if at < text.len() {
            out.push(' ');
        }
        copied = at;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_counts_is_left() {
        let text = "  The Rat's\n\n tail, ÉTÉ 7.5 ";
        let normal = |with| {
            let mut out = String::new();
            let words = normalize(text, with, &mut out);
            (out, words)
        };
        assert_eq!(normal(Normalize::None), (text.to_owned(), 5));
        assert_eq!(normal(Normalize::Space), ("The Rat's tail, ÉTÉ 7.5".into(), 5));
        assert_eq!(normal(Normalize::Words), ("the rat s tail été 7 5".into(), 7));
    }

    /// The slow twin of [`join_words`].
    fn joined(text: &str) -> (String, usize) {
        let words: Vec<&str> = text.split_whitespace().collect();
        (words.join(" "), words.len())
    }

    #[test]
    fn every_character_of_white_space_parts_words() {
        for sign in ('\0'..=char::MAX).filter(|sign| sign.is_whitespace() || *sign < '\u{3100}') {
            for text in [format!("a{sign}b"), format!("{sign}a {sign}"), format!("{sign}")] {
                let mut out = String::new();
                let words = join_words(&text, &mut out);
                assert_eq!((out, words), joined(&text), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_joined_as_by_the_standard_library(
            text in "([ \t\n\u{a0}\u{85}\u{2003}\u{3000}\u{1680}]{0,3}[a-c£ß€ａ\u{200b}]{0,4}){0,12}"
        ) {
            let mut out = String::new();
            let words = join_words(&text, &mut out);
            prop_assert_eq!((out, words), joined(&text));
        }
    }

    #[test]
    fn the_parts_of_a_text_are_all_of_it() {
        let text = "\n\na\nb\n \n\nc\n\n";
        let parts =
            |unit: Unit| unit.parts(text).into_iter().map(|part| &text[part]).collect::<Vec<_>>();
        assert_eq!(parts(Unit::Document), [text]);
        assert_eq!(parts(Unit::Line), ["\n", "\n", "a\n", "b\n", " \n", "\n", "c\n", "\n"]);
        assert_eq!(parts(Unit::Paragraph), ["\n\n", "a\nb\n \n\n", "c\n\n"]);
        assert!(Unit::Line.parts("").is_empty());
    }
}

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
        Normalize::Space => {
            let mut words = 0;
            for word in text.split_whitespace() {
                if words > 0 {
                    out.push(' ');
                }
                out.push_str(word);
                words += 1;
            }
            words
        }
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

#[cfg(test)]
mod tests {
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

//! The normalizers NFC, NFD, NFKC and NFKD.
//!
//! A text is normalized between two characters independently where the second one begins a segment: it starts
//! a sequence, is unchanged, and never composes with what stands before it. Nearly all characters of nearly
//! all texts are such, so only the stretches with others are normalized, with the tables of `tokenizers`.

use unicode_normalization_alignments::UnicodeNormalization;

use super::super::traits::Traits;
use super::alignment::first_of;

/// A form of Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    /// The trait of characters that begin a segment.
    fn begins(self) -> Traits {
        match self {
            Self::Nfc => Traits::NFC,
            Self::Nfd => Traits::NFD,
            Self::Nfkc => Traits::NFKC,
            Self::Nfkd => Traits::NFKD,
        }
    }

    /// Normalizes a text; returns false where all its characters begin a segment.
    pub(super) fn apply(self, text: &str, out: &mut String) -> bool {
        let begins = self.begins();
        let (mut done, mut at) = (0, 0);
        while let Some(odd) = next(text, at, |traits| !traits.has(begins)) {
            // The character before may compose with this one.
            let before = text[done..odd].chars().next_back().map_or(0, char::len_utf8);
            let end = next(text, odd, |traits| traits.has(begins)).unwrap_or(text.len());
            out.push_str(&text[done..odd - before]);
            self.write(&text[odd - before..end], out);
            (done, at) = (end, end);
        }
        if done > 0 {
            out.push_str(&text[done..]);
        }
        done > 0
    }

    /// Appends a stretch in this form.
    pub(super) fn write(self, stretch: &str, out: &mut String) {
        match self {
            Self::Nfc => out.extend(stretch.nfc().map(|(character, _)| character)),
            Self::Nfd => out.extend(stretch.nfd().map(|(character, _)| character)),
            Self::Nfkc => out.extend(stretch.nfkc().map(|(character, _)| character)),
            Self::Nfkd => out.extend(stretch.nfkd().map(|(character, _)| character)),
        }
    }

    /// See [`super::Normalizer::first`].
    pub(super) fn first(self, text: &str, first: usize) -> usize {
        match self {
            Self::Nfc => first_of(text, first, text.nfc()),
            Self::Nfd => first_of(text, first, text.nfd()),
            Self::Nfkc => first_of(text, first, text.nfkc()),
            Self::Nfkd => first_of(text, first, text.nfkd()),
        }
    }
}

/// Returns the place of the first character from `at` on whose traits are wanted.
///
/// Every character of ASCII begins a segment in every form.
fn next(text: &str, at: usize, wanted: impl Fn(Traits) -> bool) -> Option<usize> {
    let ascii_wanted = wanted(Traits::of('a'));
    let mut at = at;
    loop {
        if ascii_wanted {
            let character = text[at..].chars().next()?;
            if character.is_ascii() || wanted(Traits::of(character)) {
                return Some(at);
            }
            at += character.len_utf8();
        } else {
            at += text.as_bytes()[at..].iter().position(|byte| !byte.is_ascii())?;
            let character = text[at..].chars().next()?;
            if wanted(Traits::of(character)) {
                return Some(at);
            }
            at += character.len_utf8();
        }
    }
}

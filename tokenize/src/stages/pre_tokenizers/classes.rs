//! Pre-tokenizers that tell characters apart by three classes: `Whitespace` and `BertPreTokenizer`.

use std::sync::LazyLock;

use super::super::traits::Traits;
use super::pieces::Piece;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It is in no piece.
    Gap,
    /// Runs of it are pieces.
    Word,
    /// It is another kind of word, or a piece of its own.
    Other,
}

/// Cuts a text into runs of `\w` and runs of what is neither `\w` nor `\s`.
pub(super) fn words(text: &str, base: usize, out: &mut Vec<Piece>) {
    static ASCII: LazyLock<[Class; 128]> = LazyLock::new(|| ascii(of));
    fn of(character: char) -> Class {
        let traits = Traits::of(character);
        if traits.has(Traits::WORD) {
            Class::Word
        } else if traits.has(Traits::SPACE) {
            Class::Gap
        } else {
            Class::Other
        }
    }
    cut(text, base, out, &ASCII, of, false);
}

/// Cuts a text at white space, and makes each punctuation character a piece.
pub(super) fn bert(text: &str, base: usize, out: &mut Vec<Piece>) {
    static ASCII: LazyLock<[Class; 128]> = LazyLock::new(|| ascii(of));
    fn of(character: char) -> Class {
        let traits = Traits::of(character);
        if traits.has(Traits::WHITE) {
            Class::Gap
        } else if traits.has(Traits::PUNCTUATION) {
            Class::Other
        } else {
            Class::Word
        }
    }
    cut(text, base, out, &ASCII, of, true);
}

fn ascii(of: impl Fn(char) -> Class) -> [Class; 128] {
    std::array::from_fn(|place| u8::try_from(place).map_or(Class::Gap, |byte| of(char::from(byte))))
}

/// Adds the runs of one class; where `alone`, each character of the class `Other` is a run of its own.
#[inline]
fn cut(
    text: &str,
    base: usize,
    out: &mut Vec<Piece>,
    ascii: &[Class; 128],
    beyond: impl Fn(char) -> Class,
    alone: bool,
) {
    let bytes = text.as_bytes();
    let class_at = |at: usize| {
        let byte = *bytes.get(at)?;
        if let Some(class) = ascii.get(usize::from(byte)) {
            return Some((*class, 1));
        }
        let character = text[at..].chars().next()?;
        Some((beyond(character), character.len_utf8()))
    };
    let mut at = 0;
    while let Some((class, len)) = class_at(at) {
        let start = at;
        at += len;
        if !(alone && class == Class::Other) {
            while let Some((next, len)) = class_at(at)
                && next == class
            {
                at += len;
            }
        }
        if class != Class::Gap {
            out.push(Piece::new(base + start, base + at));
        }
    }
}

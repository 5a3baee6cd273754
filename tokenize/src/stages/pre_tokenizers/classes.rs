//! Pre-tokenizers that tell characters apart by three classes: `Whitespace` and `BertPreTokenizer`.

use std::sync::LazyLock;

use super::super::traits::Traits;
use super::Piece;

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
    let (mut class, mut start, mut at) = (Class::Gap, 0, 0);
    while let Some(&byte) = bytes.get(at) {
        let (this, len) = match ascii.get(usize::from(byte)) {
            Some(class) => (*class, 1),
            None => match text[at..].chars().next() {
                Some(character) => (beyond(character), character.len_utf8()),
                None => break,
            },
        };
        if this != class || alone && this == Class::Other {
            if class != Class::Gap {
                out.push(Piece::new(base + start, base + at));
            }
            (class, start) = (this, at);
        }
        at += len;
    }
    if class != Class::Gap {
        out.push(Piece::new(base + start, base + at));
    }
}

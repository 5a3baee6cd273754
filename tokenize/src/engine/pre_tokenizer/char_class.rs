//! The classes of characters that patterns distinguish.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// `\p{Lu}` and `\p{Lt}`.
pub(crate) const UPPER: u8 = 1;
/// `\p{Ll}`.
pub(crate) const LOWER: u8 = 2;
/// `\p{Lm}` and `\p{Lo}`.
pub(crate) const UNCASED: u8 = 4;
/// `\p{L}`.
pub(crate) const LETTER: u8 = UPPER | LOWER | UNCASED;
/// `\p{N}`.
pub(crate) const NUMBER: u8 = 8;
/// `\s`.
pub(crate) const WHITE: u8 = 16;
/// `[\r\n]`, also [`WHITE`].
pub(crate) const NEWLINE: u8 = 32;
/// `[^\s\p{L}\p{N}]`.
pub(crate) const OTHER: u8 = 64;
/// `\p{M}`, also [`OTHER`].
pub(crate) const MARK: u8 = 128;

/// The class of every character, one byte each; built once.
static CLASSES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut classes = vec![OTHER; 0x11_0000];
    let patterns = [
        (r"[\p{Lu}\p{Lt}]", UPPER),
        (r"\p{Ll}", LOWER),
        (r"[\p{Lm}\p{Lo}]", UNCASED),
        (r"\p{N}", NUMBER),
        (r"\s", WHITE),
        (r"\p{M}", OTHER | MARK),
    ];
    for (pattern, class) in patterns {
        for (first, last) in ranges(pattern) {
            classes[first as usize..=last as usize].fill(class);
        }
    }
    classes[usize::from(b'\r')] |= NEWLINE;
    classes[usize::from(b'\n')] |= NEWLINE;
    classes
});

/// The classes of ASCII, for the vector forms.
pub(crate) static ASCII: LazyLock<[u8; 128]> =
    LazyLock::new(|| std::array::from_fn(|at| CLASSES[at]));

/// Returns the class of a character.
#[inline]
pub(crate) fn class_of(character: char) -> u8 {
    CLASSES[character as usize]
}

/// Returns the classes of all characters.
pub(crate) fn all() -> &'static [u8] {
    &CLASSES
}

/// Returns how much memory the classes take, in bytes.
pub(crate) fn memory() -> usize {
    0x11_0000
}

/// Returns the characters of a class.
pub(super) fn ranges(pattern: &str) -> Vec<(u32, u32)> {
    let parsed = regex_syntax::Parser::new().parse(pattern);
    match parsed.as_ref().map(regex_syntax::hir::Hir::kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => {
            class.iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        _ => Vec::new(),
    }
}

//! The characters that byte-level tokenizers write bytes as.

use std::sync::LazyLock;

/// The character of each byte.
pub(super) static CHARS: LazyLock<[char; 256]> = LazyLock::new(byte_level_chars);

/// Which bytes of ASCII are written as themselves.
pub(super) const PRINTED: [bool; 128] = {
    let mut printed = [false; 128];
    let mut byte = b'!';
    while byte <= b'~' {
        printed[byte as usize] = true;
        byte += 1;
    }
    printed
};

/// Appends a text with each byte written as its character.
pub(super) fn write(text: &str, out: &mut String) {
    out.reserve(text.len());
    out.extend(text.bytes().map(|byte| CHARS[usize::from(byte)]));
}

/// Returns the character by which byte-level files write each byte.
///
/// Printable Latin-1 characters stand for themselves; the others are moved up past U+0100, in
/// their order, so that no piece has a space or control character.
pub(crate) fn byte_level_chars() -> [char; 256] {
    let mut moved = 0x100_u32;
    std::array::from_fn(|byte| {
        let character = u8::try_from(byte).map_or(char::REPLACEMENT_CHARACTER, char::from);
        let itself = matches!(character, '!'..='~' | '¡'..='¬' | '®'..='ÿ');
        if itself {
            return character;
        }
        let stand_in = char::from_u32(moved).unwrap_or(char::REPLACEMENT_CHARACTER);
        moved += 1;
        stand_in
    })
}

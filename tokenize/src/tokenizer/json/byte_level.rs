//! How files write bytes: `<0x0A>`, or a character for each byte.

use crate::engine::bpe::vocabulary::SPACE_PIECE;

/// Returns the byte that a piece such as `<0x0A>` stands for.
pub(crate) fn byte_value(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Returns the character by which byte-level files write each byte.
///
/// Printable Latin-1 characters stand for themselves; the others are moved up past U+0100, in
/// their order, so that no piece has a space or control character.
pub(crate) fn byte_level_chars() -> [char; 256] {
    let mut moved = 0x100_u32;
    std::array::from_fn(|byte| {
        let character = u8::try_from(byte).map_or(SPACE_PIECE, char::from);
        let itself = matches!(character, '!'..='~' | '¡'..='¬' | '®'..='ÿ');
        if itself {
            return character;
        }
        let stand_in = char::from_u32(moved).unwrap_or(SPACE_PIECE);
        moved += 1;
        stand_in
    })
}

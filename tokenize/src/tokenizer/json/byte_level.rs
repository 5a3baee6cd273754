//! How files write bytes: `<0x0A>`. Byte-level files have a character for each byte instead.

pub(crate) use crate::stages::byte_level_chars;

/// Returns the byte that a piece such as `<0x0A>` stands for.
pub(crate) fn byte_value(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

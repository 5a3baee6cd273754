//! The normalizer `ByteLevel`: each byte is written as a character that can be seen.

use super::super::byte_chars::{CHARS, PRINTED};
use super::rewrite::rewrite;

/// Writes each byte as its character.
pub(super) fn apply(text: &str, out: &mut String) -> bool {
    let changes = PRINTED.map(|is_itself| !is_itself);
    rewrite(
        text,
        out,
        &changes,
        |_| true,
        |character, out| {
            let mut bytes = [0; 4];
            let written = character.encode_utf8(&mut bytes).bytes();
            out.extend(written.map(|byte| CHARS[usize::from(byte)]));
        },
    )
}

//! Normalizers that change each character by itself: `Nmt`, `Lowercase` and `StripAccents`.

use super::super::traits::Traits;
use super::rewrite::rewrite;

/// Removes controls, and writes other white space as a space.
pub(super) fn nmt(text: &str, out: &mut String) -> bool {
    const ASCII: [bool; 128] = {
        let mut changes = [false; 128];
        let mut byte = 1;
        while byte < 0x20 {
            changes[byte] = true;
            byte += 1;
        }
        changes[0x7f] = true;
        changes
    };
    rewrite(
        text,
        out,
        &ASCII,
        |character| nmt_of(character) != Some(character),
        |character, out| {
            out.extend(nmt_of(character));
        },
    )
}

/// Returns what a character becomes; none where it is removed.
fn nmt_of(character: char) -> Option<char> {
    match character {
        '\u{1}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{8f}' | '\u{9f}' => None,
        '\t'
        | '\n'
        | '\u{c}'
        | '\r'
        | '\u{1680}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2581}'
        | '\u{feff}'
        | '\u{fffd}' => Some(' '),
        other => Some(other),
    }
}

/// Writes every character in lower case.
pub(super) fn lowercase(text: &str, out: &mut String) -> bool {
    const ASCII: [bool; 128] = {
        let mut changes = [false; 128];
        let mut byte = b'A';
        while byte <= b'Z' {
            changes[byte as usize] = true;
            byte += 1;
        }
        changes
    };
    rewrite(
        text,
        out,
        &ASCII,
        |character| Traits::of(character).has(Traits::CASED),
        |character, out| {
            out.extend(character.to_lowercase());
        },
    )
}

/// Removes combining marks.
pub(super) fn strip_accents(text: &str, out: &mut String) -> bool {
    let marks = |character| Traits::of(character).has(Traits::MARK);
    rewrite(text, out, &[false; 128], marks, |_, _| ())
}

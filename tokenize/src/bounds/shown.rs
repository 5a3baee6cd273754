//! What a file says, as messages show it.

/// How many bytes are shown.
const SHOWN: usize = 120;

/// Returns the beginning of a pattern, piece or token.
pub(crate) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

//! Text of files on its way to a terminal: it may be read there, and must not steer it.

use std::borrow::Cow;

/// Returns whether a character moves the cursor, colours, clears or retitles a terminal, or turns
/// the direction in which text runs; line ends and tabs are let through.
fn steers(char: char) -> bool {
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (char.is_control() && char != '\n' && char != '\t')
}

/// Puts a mark, U+FFFD, in the place of every character that would steer a terminal.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| if steers(char) { '\u{fffd}' } else { char }).collect())
}

/// Writes control characters of JSON as escapes: the same value, and nothing that steers.
///
/// JSON escapes those of ASCII alone, and terminals obey the later ones, too.
pub(crate) fn plain_json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if steers(char) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            escaped.push(char);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_marked_and_the_rest_stays() {
        let hostile = "a\u{1b}]0;title\u{7}b\u{9b}31mc\r\u{202e}d\te\nf";

        let shown = plain(hostile);

        assert_eq!(shown, "a\u{fffd}]0;title\u{fffd}b\u{fffd}31mc\u{fffd}\u{fffd}d\te\nf");
        assert!(matches!(plain("größer 🙂\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "a\u{9b}": "b\u{1b}\u{7f}\u{202e}" });
        let text = value.to_string();

        let escaped = plain_json(&text);

        assert!(escaped.chars().all(|char| !steers(char)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}

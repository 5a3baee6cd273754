//! White space and lines as Python's `str` has them.

/// Returns whether a character is white space for `str.isspace`, `str.strip` and `str.split`.
pub(crate) fn is_space(sign: char) -> bool {
    sign.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&sign)
}

/// Returns a text without the white space around it.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Returns the lines of a text as `str.splitlines` does.
pub(crate) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_end = |sign: char| {
            matches!(
                sign,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                    ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let Some(at) = rest.find(is_end) else {
            return Some(std::mem::take(&mut rest));
        };
        let (line, behind) = rest.split_at(at);
        let end = if behind.starts_with("\r\n") {
            2
        } else {
            behind.chars().next().map_or(0, char::len_utf8)
        };
        rest = &behind[end..];
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_python() {
        let lines = |text| lines_of(text).collect::<Vec<_>>();
        assert_eq!(lines("a\r\nb\rc\n\nd\u{2028}e\u{1c}"), ["a", "b", "c", "", "d", "e"]);
        assert_eq!(lines("\n"), [""]);
        assert_eq!(lines(""), [""; 0]);
        assert_eq!(strip("\u{1f} a b\u{a0}\n"), "a b");
    }
}

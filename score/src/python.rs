//! Python's rules of text, where they differ from Rust's.

/// Returns whether `str.split()` and `str.strip()` take a character for white space: Unicode's, and
/// four separators of ASCII.
pub(crate) fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// Splits a text at white space, as `str.split()` does: no word is empty.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Rounds to the nearest whole number, and halves to the even one, as `round` does.
pub(crate) fn rounded(number: f64) -> f64 {
    number.round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_what_python_takes_for_it() {
        let found: Vec<&str> = words(" a\u{1c}b\u{a0}c\u{200b}d\u{85}\te\n").collect();

        assert_eq!(found, ["a", "b", "c\u{200b}d", "e"]);
    }
}

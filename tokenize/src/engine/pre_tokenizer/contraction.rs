//! The English contractions that patterns name: `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d`.

/// Returns how many bytes after an apostrophe make a contraction; 0 where they make none.
pub(super) fn exact(after: &[u8]) -> usize {
    match after {
        [b's' | b't' | b'm' | b'd', ..] => 1,
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => 2,
        _ => 0,
    }
}

/// Returns the same for contractions in any case; the long `ſ` is a case of `s`.
pub(super) fn any_case(after: &[u8]) -> usize {
    if after.starts_with("ſ".as_bytes()) {
        return "ſ".len();
    }
    let lower = |at: usize| after.get(at).map_or(0, u8::to_ascii_lowercase);
    exact(&[lower(0), lower(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contractions_have_one_letter_or_two() {
        assert_eq!(
            ["s", "re you", "ll", "le", "x", ""].map(|t| exact(t.as_bytes())),
            [1, 2, 2, 0, 0, 0]
        );
        assert_eq!(["S", "rE", "ſ", "L", "Ll"].map(|t| any_case(t.as_bytes())), [1, 2, 2, 0, 2]);
    }
}

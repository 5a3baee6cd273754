//! Rewrites single characters of a text, and copies the stretches between them.

/// What bounds call this part of a tokenizer.
pub(super) const PART: &str = "normalizer";

/// Appends a text with each character that changes replaced; returns false, and appends nothing, where
/// there is none.
///
/// A character changes by the table where it is ASCII, and by `beyond` where it is not.
pub(super) fn rewrite(
    text: &str,
    out: &mut String,
    ascii: &[bool; 128],
    beyond: impl Fn(char) -> bool,
    mut each: impl FnMut(char, &mut String),
) -> bool {
    let mut done = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        let Some(&changes) = ascii.get(usize::from(byte)) else {
            let Some(character) = text[at..].chars().next() else { break };
            let end = at + character.len_utf8();
            if beyond(character) {
                out.push_str(&text[done..at]);
                each(character, out);
                done = end;
            }
            at = end;
            continue;
        };
        if changes {
            if done == 0 {
                out.reserve(text.len());
            }
            out.push_str(&text[done..at]);
            each(char::from(byte), out);
            done = at + 1;
        }
        at += 1;
    }
    if done > 0 {
        out.push_str(&text[done..]);
    }
    done > 0
}

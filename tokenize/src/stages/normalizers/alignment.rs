//! Which bytes of a rewritten text stand for the first character of the document.

/// Returns how many bytes of a rewritten text stand for the first character of the document, as
/// `tokenizers` aligns them.
///
/// Each character comes with its change: 0 where it takes the place of one, −N where N more after that one
/// are gone, 1 where it is new and stands for what the one before it does.
pub(super) fn first_of(
    text: &str,
    first: usize,
    changes: impl IntoIterator<Item = (char, isize)>,
) -> usize {
    let mut rest = text.chars();
    let (mut at, mut bytes) = (0, 0);
    for (character, change) in changes {
        let stands_at = if change > 0 { at.max(1) - 1 } else { at };
        if stands_at >= first {
            break;
        }
        bytes += character.len_utf8();
        if change <= 0 {
            let taken = rest.by_ref().take(change.unsigned_abs() + 1);
            at += taken.map(char::len_utf8).sum::<usize>();
        }
    }
    bytes
}

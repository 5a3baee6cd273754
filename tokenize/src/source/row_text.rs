//! The text of a row, or why it has none; and what becomes of bytes that are no text.

use ratdata_schemas::recipe::OnBadRow;
use std::borrow::Cow;
use std::fmt;

/// What becomes of bytes and escapes that stand for no character.
///
/// # Source
///
/// [`Undecodable::Replace`] follows Python's `bytes.decode("utf-8", errors="replace")`: each longest
/// beginning of a character that is cut short, and each byte that begins none, becomes one U+FFFD.
/// In a JSON string each half of a surrogate pair without its other half becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// The row has no text.
    Refuse,
    /// U+FFFD takes their place.
    Replace,
}

impl From<OnBadRow> for Undecodable {
    fn from(on_bad_row: OnBadRow) -> Self {
        match on_bad_row {
            OnBadRow::Fail | OnBadRow::Skip => Self::Refuse,
            OnBadRow::Replace => Self::Replace,
        }
    }
}

/// The text of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowText<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Whether U+FFFD took the place of something in it.
    pub replaced: bool,
}

impl<'a> From<Cow<'a, str>> for RowText<'a> {
    /// A text as it was written.
    fn from(text: Cow<'a, str>) -> Self {
        Self { text, replaced: false }
    }
}

/// Why a row has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    reason: String,
    kind: BadKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BadKind {
    /// Its file holds nothing.
    Empty,
    /// Some of it stands for no character.
    Undecodable,
    /// It holds something else.
    Other,
}

impl BadText {
    /// A text file without a byte.
    pub(super) fn empty() -> Self {
        Self { reason: "the file is empty".into(), kind: BadKind::Empty }
    }

    /// A text of which some bytes or escapes stand for no character.
    pub(super) fn undecodable(reason: String) -> Self {
        Self { reason, kind: BadKind::Undecodable }
    }

    /// Returns whether it is a file that holds nothing, which no job takes for a document.
    pub fn is_empty(&self) -> bool {
        self.kind == BadKind::Empty
    }

    /// Returns whether [`Undecodable::Replace`] would make a text of it.
    pub fn is_undecodable(&self) -> bool {
        self.kind == BadKind::Undecodable
    }
}

impl From<String> for BadText {
    /// A row that holds something else than a text.
    fn from(reason: String) -> Self {
        Self { reason, kind: BadKind::Other }
    }
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Reads bytes as UTF-8; `what` is what they are, for messages.
pub(super) fn of_bytes<'a>(
    bytes: &'a [u8],
    what: &str,
    undecodable: Undecodable,
) -> Result<RowText<'a>, BadText> {
    match (std::str::from_utf8(bytes), undecodable) {
        (Ok(text), _) => Ok(Cow::Borrowed(text).into()),
        (Err(_), Undecodable::Replace) => {
            Ok(RowText { text: String::from_utf8_lossy(bytes), replaced: true })
        }
        (Err(wrong), Undecodable::Refuse) => Err(BadText::undecodable(format!(
            "{what} is not UTF-8: byte {} of it is wrong",
            wrong.valid_up_to()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.12 makes of the same bytes.
    #[test]
    fn replaced_bytes_are_those_of_python() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{fffd}b"),
            (b"\xe2\x82", "\u{fffd}"),
            (b"\xe2\x82x", "\u{fffd}x"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"\xf0\x9f\x98\xf0\x9f\x98\x80", "\u{fffd}\u{1f600}"),
            (b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xf5\x80", "\u{fffd}\u{fffd}"),
            (b"\x80\x80", "\u{fffd}\u{fffd}"),
        ] {
            let read = of_bytes(bytes, "the text", Undecodable::Replace).unwrap();

            assert_eq!((read.text.as_ref(), read.replaced), (text, true), "{bytes:?}");
            let refused = of_bytes(bytes, "the text", Undecodable::Refuse).unwrap_err();
            assert!(refused.is_undecodable() && !refused.is_empty());
        }
        assert!(!of_bytes(b"plain", "the text", Undecodable::Replace).unwrap().replaced);
    }
}

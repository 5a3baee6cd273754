//! JSON with the spacing of Python's `json.dump(…, ensure_ascii=False)`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

/// Writes a space behind each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// Returns the text of a value.
pub(crate) fn to_string(value: &Value) -> String {
    let mut text = Vec::new();
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced));
    // Writing a value into memory does not fail, and what is written is UTF-8.
    debug_assert!(written.is_ok(), "a JSON value serializes");
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spacing_is_pythons() {
        let value = serde_json::json!({"answer": ["é\n", "\u{1}\u{7f}\""], "n": {"a": 1}});

        assert_eq!(
            to_string(&value),
            "{\"answer\": [\"é\\n\", \"\\u0001\u{7f}\\\"\"], \"n\": {\"a\": 1}}"
        );
    }
}

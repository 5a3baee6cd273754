//! Reads a file that is one array of JSON, element by element: in memory is one of them, not the array.
//!
//! An element is found by its brackets and strings alone; what is in it is read later, as a line is.

use std::io::{BufRead, ErrorKind};
use std::path::Path;

use super::error::SourceError;
use super::rows::{Batches, Cell, Stopped, TextPlace};
use super::streams;

/// An array while it is read.
pub(super) struct ArrayReader<'a, R> {
    path: &'a Path,
    reader: R,
    /// The line that the reading is in, and the element.
    place: TextPlace,
}

/// Where the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the array.
    Outside,
    /// Where an element or the end may come: behind `[`.
    First,
    /// Where an element must come: behind `,`.
    Next,
    /// Within an element, so many brackets deep; outside of its strings.
    Element(usize),
    /// Within a string of an element, and whether its next byte is escaped.
    Text { depth: usize, escaped: bool },
    /// Behind an element.
    Behind,
    /// Behind the array.
    End,
}

/// The element that is being read.
#[derive(Default)]
struct Element {
    json: Vec<u8>,
    /// Where it begins.
    line: u64,
    /// Whether white space at a line's beginning is left out: a row is written as one line.
    indented: bool,
}

impl Element {
    /// Takes a byte that is outside of strings.
    fn push(&mut self, byte: u8) {
        match byte {
            b'\n' | b'\r' => {
                if !self.indented {
                    self.json.push(b' ');
                }
                self.indented = true;
            }
            b' ' | b'\t' if self.indented => {}
            byte => {
                self.indented = false;
                self.json.push(byte);
            }
        }
    }
}

impl<'a, R: BufRead> ArrayReader<'a, R> {
    /// Begins at a place, before the `[`.
    pub(super) fn new(path: &'a Path, reader: R, place: TextPlace) -> Self {
        Self { path, reader, place: TextPlace { row: Some(0), ..place } }
    }

    /// Reads the elements; returns whether to continue behind the array.
    ///
    /// # Errors
    ///
    /// The file cannot be read, ends within the array, or something else than a comma is between two elements.
    pub(super) fn read(
        self,
        stopped: Stopped<'_>,
        batches: &mut Batches<'_>,
    ) -> Result<bool, SourceError> {
        let Self { path, mut reader, mut place } = self;
        let damaged = |place: &TextPlace, reason: String| SourceError::Damaged {
            path: path.to_owned(),
            place: place.to_string(),
            reason,
        };
        let mut at = At::Outside;
        let mut element = Element::default();
        loop {
            let held = match reader.fill_buf() {
                Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
                Err(wrong) => return Err(streams::failure(path, place.to_string(), &wrong)),
                Ok(held) => held,
            };
            if held.is_empty() {
                return match at.ended() {
                    Ok(()) => Ok(true),
                    Err(reason) => Err(damaged(&place, reason.to_owned())),
                };
            }
            let mut from = 0;
            while from < held.len() {
                if let At::Text { depth, escaped } = at {
                    (from, at) = through_text(held, from, depth, escaped, &mut element.json);
                    continue;
                }
                let byte = held[from];
                from += 1;
                if byte == b'\n' {
                    place.line += 1;
                }
                let before = at;
                at = step(at, byte).map_err(|expected| {
                    let reason = format!("found `{}`, expected {expected}", byte.escape_ascii());
                    damaged(&place, reason)
                })?;
                match (before, at) {
                    (At::First | At::Next, At::Element(_) | At::Text { .. }) => {
                        element = Element { line: place.line, ..Element::default() };
                        element.push(byte);
                    }
                    (At::Element(_), At::Element(_) | At::Text { .. }) => element.push(byte),
                    (At::Element(depth), At::Behind | At::Next | At::End) => {
                        if depth > 0 {
                            element.push(byte); // the bracket that closes it
                        }
                        let json = std::mem::take(&mut element.json);
                        let (bytes, line) = (json.len(), element.line);
                        let cell = Cell::Json(TextPlace { line, ..place.clone() }, json);
                        place.row = place.row.map(|row| row + 1);
                        if !batches.push(cell, bytes) {
                            return Ok(false);
                        }
                    }
                    _ => {}
                }
            }
            reader.consume(from);
            if stopped() {
                return Err(SourceError::Stopped);
            }
        }
    }
}

impl At {
    /// Checks that the file may end here.
    fn ended(self) -> Result<(), &'static str> {
        match self {
            Self::End => Ok(()),
            Self::Element(_) | Self::Text { .. } => {
                Err("the file ends within this element of the array")
            }
            _ => Err("the file ends before the `]` that closes the array"),
        }
    }
}

/// Takes one byte that is outside of strings.
fn step(at: At, byte: u8) -> Result<At, &'static str> {
    let blank = byte.is_ascii_whitespace();
    Ok(match (at, byte) {
        (At::Outside, b'[') => At::First,
        // A number or a word ends where something else begins.
        (At::First | At::Behind | At::Element(0), b']') => At::End,
        (At::Behind | At::Element(0), b',') => At::Next,
        (At::First | At::Next, b'{' | b'[') => At::Element(1),
        (At::First | At::Next, b'"') => At::Text { depth: 0, escaped: false },
        (At::First | At::Next, byte) if !blank && !matches!(byte, b',' | b']' | b'}' | b':') => {
            At::Element(0)
        }
        (At::Element(depth), b'"') => At::Text { depth, escaped: false },
        (At::Element(depth), b'{' | b'[') if depth > 0 => At::Element(depth + 1),
        (At::Element(1), b'}' | b']') => At::Behind,
        (At::Element(depth), b'}' | b']') if depth > 1 => At::Element(depth - 1),
        (At::Element(0), _) if blank => At::Behind,
        (At::Element(depth), _) => At::Element(depth),
        (at, _) if blank => at,
        (At::Behind, _) => return Err("`,` or `]` behind an element of the array"),
        (At::End, _) => return Err("nothing behind the array"),
        _ => return Err("an object, as each element of the array is one"),
    })
}

/// Takes a string to its end, or as far as it is held; returns how far, and where the reading then is.
fn through_text(
    held: &[u8],
    from: usize,
    depth: usize,
    escaped: bool,
    json: &mut Vec<u8>,
) -> (usize, At) {
    if escaped {
        json.push(held[from]);
        return (from + 1, At::Text { depth, escaped: false });
    }
    let rest = &held[from..];
    let Some(end) = memchr::memchr2(b'"', b'\\', rest) else {
        json.extend_from_slice(rest);
        return (held.len(), At::Text { depth, escaped: false });
    };
    json.extend_from_slice(&rest[..=end]);
    let at = match rest[end] {
        b'"' => At::Element(depth),
        _ => At::Text { depth, escaped: true },
    };
    (from + end + 1, at)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::rows::Rows;
    use super::*;

    /// Reads an array, so many bytes at a time.
    fn read(content: &[u8], at_once: usize) -> Result<Vec<(String, String)>, SourceError> {
        let reader = BufReader::with_capacity(at_once, content);
        let mut found = Vec::new();
        let mut each = |rows: Rows| {
            for cell in rows.cells {
                let Cell::Json(place, json) = cell else { unreachable!() };
                found.push((place.to_string(), String::from_utf8(json).unwrap()));
            }
            true
        };
        let taken = std::sync::Arc::default();
        let mut batches = Batches::new(&taken, &mut each);
        let array = ArrayReader::new(Path::new("x.json"), reader, TextPlace::line(1));
        array.read(&|| false, &mut batches)?;
        batches.hand_on();
        Ok(found)
    }

    #[test]
    fn elements_are_lines_whatever_lines_they_were_written_in() {
        let array =
            b"[ {\"a\": \"x]},\\\"\"},\n  {\n    \"b\": [1,\r\n\t{}]\n  }\n, 7,null , \"s\"]\n ";
        for at_once in [1, 2, 3, 100] {
            let read = read(array, at_once).unwrap();

            let read: Vec<(&str, &str)> =
                read.iter().map(|(place, json)| (place.as_str(), json.as_str())).collect();
            assert_eq!(
                read,
                [
                    ("row 0, line 1", "{\"a\": \"x]},\\\"\"}"),
                    ("row 1, line 2", "{ \"b\": [1, {}] }"),
                    ("row 2, line 6", "7"),
                    ("row 3, line 6", "null"),
                    ("row 4, line 6", "\"s\""),
                ]
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_row_and_line() {
        for (array, says) in [
            ("[{}, {}", "row 2, line 1: the file ends before the `]`"),
            ("[{},\n {\"a\": 1", "row 1, line 2: the file ends within this element"),
            ("[{},\n {\"a", "row 1, line 2: the file ends within this element"),
            ("[{}\n {}]", "row 1, line 2: found `{`, expected `,` or `]`"),
            ("[{}, ]", "row 1, line 1: found `]`, expected an object"),
            ("[{}]\n{}", "row 1, line 2: found `{`, expected nothing behind the array"),
            ("[", "row 0, line 1: the file ends before the `]`"),
        ] {
            let told = read(array.as_bytes(), 3).unwrap_err().to_string();
            assert!(told.contains(says), "{array}: {told}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<Option<bool>>().prop_map(|is| json!(is)),
            any::<i32>().prop_map(|number| json!(number)),
            any::<String>().prop_map(|text| json!(text)),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Its slow twin is the parser of whole files.
        #[test]
        fn elements_are_those_of_the_parsed_array(
            values in prop::collection::vec(value(), 0..6),
            pretty in any::<bool>(),
            at_once in 1_usize..40,
        ) {
            let array = if pretty {
                serde_json::to_vec_pretty(&values).unwrap()
            } else {
                serde_json::to_vec(&values).unwrap()
            };

            let read = read(&array, at_once).unwrap();

            let read: Vec<Value> =
                read.iter().map(|(_, json)| serde_json::from_str(json).unwrap()).collect();
            prop_assert_eq!(&read, &values);
            prop_assert!(pretty || !array.contains(&b'\n'));
        }
    }
}

//! The pair of files of dolma and `OLMo`: headerless ids named `.npy`, and a `.csv.gz` with one row a
//! document.
//!
//! A row is `start,end,id,src,loc` without a header row, lines end in CRLF, `end` is exclusive and
//! `loc` counts from 1. The functions here work on the text inside the gzip.

use super::LayoutError;

/// Reads the rows and returns the documents' ends; the documents must follow one another from 0.
///
/// # Errors
///
/// A row breaks the layout, or a document does not begin where the previous one ends.
pub fn parse_ends(text: &[u8]) -> Result<Vec<u64>, LayoutError> {
    let mut ends = Vec::new();
    let mut before = 0;
    for (at, row) in Rows(text).enumerate() {
        let shown = || format!("`{}`", String::from_utf8_lossy(&row[..row.len().min(60)]));
        let wrong = |expected: String| LayoutError::entry("row", at, shown(), expected);
        let mut fields = row.splitn(3, |&byte| byte == b',');
        let mut number = || -> Option<u64> {
            std::str::from_utf8(fields.next()?).ok()?.trim().trim_matches('"').parse().ok()
        };
        let (Some(start), Some(end)) = (number(), number()) else {
            return Err(wrong("start,end,id,src,loc".into()));
        };
        if start != before || end < start {
            return Err(wrong(format!("a document that begins at {before}")));
        }
        ends.push(end);
        before = end;
    }
    Ok(ends)
}

/// Appends the row of one document.
pub fn push_row(start: u64, end: u64, id: &str, src: &str, loc: u64, text: &mut String) {
    for field in [&start.to_string(), &end.to_string(), &quoted(id), &quoted(src)] {
        text.push_str(field);
        text.push(',');
    }
    text.push_str(&loc.to_string());
    text.push_str("\r\n");
}

/// The rows of a CSV text, split at line ends outside of quotes; empty lines are not rows.
struct Rows<'a>(&'a [u8]);

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let mut inside = false;
            let end = self.0.iter().position(|&byte| {
                inside ^= byte == b'"';
                byte == b'\n' && !inside
            });
            let (row, rest) = match end {
                Some(end) => (&self.0[..end], &self.0[end + 1..]),
                None => (self.0, &[][..]),
            };
            self.0 = rest;
            let row = row.strip_suffix(b"\r").unwrap_or(row);
            if !row.is_empty() {
                return Some(row);
            }
        }
        None
    }
}

/// Returns a field, in quotes if it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_with_a_gap_or_an_overlap_are_refused() {
        assert_eq!(parse_ends(b"0,3,a,b,1\r\n3,3,c,b,2\r\n3,9,d,b,3"), Ok(vec![3, 3, 9]));
        for text in
            ["1,3,a,b,1\r\n", "0,3,a,b,1\n4,5,c,b,2\n", "0,3,a,b,1\n2,5,c,b,2\n", "a,b\n", "7\n"]
        {
            assert!(parse_ends(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        /// Rows come back whatever their names hold, and no text panics.
        #[test]
        fn rows_come_back(names in proptest::collection::vec("(\\PC|[\",\r\n]){0,12}", 0..8), noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut text = String::new();
            for (at, name) in (0..).zip(&names) {
                push_row(at * 3, at * 3 + 3, name, name, at + 1, &mut text);
            }
            let ends: Vec<u64> = (0..names.len() as u64).map(|at| at * 3 + 3).collect();
            prop_assert_eq!(parse_ends(text.as_bytes()), Ok(ends));
            drop(parse_ends(&noise));
        }
    }
}

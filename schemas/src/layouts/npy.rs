//! `NumPy`'s `.npy`: magic bytes, a version, and a Python dictionary with type and shape.

use super::LayoutError;
use crate::narrow::narrow;

/// The first bytes of a `.npy` file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The header of a `.npy` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpyHeader {
    /// The element type as `NumPy` writes it, such as `<u2`.
    pub descr: String,
    /// Whether the first axis runs fastest.
    pub fortran_order: bool,
    /// The length of every axis.
    pub shape: Vec<u64>,
    /// Where the elements begin.
    pub data_offset: usize,
}

impl NpyHeader {
    /// Reads the header at the beginning of `bytes`; versions 1.0, 2.0 and 3.0 are known.
    ///
    /// # Errors
    ///
    /// The bytes are not such a header.
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let short = |expected: usize| LayoutError::Short {
            what: "the header",
            found: bytes.len() as u64,
            expected: expected as u64,
        };
        let Some((magic, rest)) = bytes.split_at_checked(MAGIC.len()) else {
            return Err(short(10));
        };
        if magic != MAGIC {
            return Err(LayoutError::field(
                "the beginning",
                format!("{magic:02x?}"),
                format!("{MAGIC:02x?}"),
            ));
        }
        let (from, len) = match *rest {
            [1, 0, low, high, ..] => (10, usize::from(u16::from_le_bytes([low, high]))),
            [2 | 3, 0, a, b, c, d, ..] => (12, narrow(u32::from_le_bytes([a, b, c, d]))),
            [1, 0, ..] => return Err(short(10)),
            [2 | 3, 0, ..] => return Err(short(12)),
            [major, minor, ..] => {
                let found = format!("{major}.{minor}");
                return Err(LayoutError::field("the version", found, "1.0, 2.0 or 3.0"));
            }
            _ => return Err(short(10)),
        };
        let data_offset = from + len.min(usize::MAX - from);
        let text = bytes.get(from..data_offset).ok_or_else(|| short(data_offset))?;
        let mut header = dictionary(&String::from_utf8_lossy(text))?;
        header.data_offset = data_offset;
        Ok(header)
    }

    /// Returns the number of elements of the shape, or `None` if it overflows.
    pub fn len(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &axis| product.checked_mul(axis))
    }

    /// Returns whether the shape has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Checks that a file of `file_bytes` holds exactly one flat array of elements of `width` bytes,
    /// and returns the number of elements.
    ///
    /// # Errors
    ///
    /// The array has another number of axes, or the file another size.
    pub fn flat_len(&self, width: u64, file_bytes: u64) -> Result<u64, LayoutError> {
        let [len] = self.shape[..] else {
            return Err(LayoutError::field("the shape", format!("{:?}", self.shape), "one axis"));
        };
        let expected = len.checked_mul(width).and_then(|n| n.checked_add(self.data_offset as u64));
        if expected != Some(file_bytes) {
            return Err(LayoutError::Short {
                what: "the array",
                found: file_bytes,
                expected: expected.unwrap_or(u64::MAX),
            });
        }
        Ok(len)
    }
}

/// Returns the header of an array in C order, version 1.0, padded as `NumPy` pads it to 64 bytes.
pub fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(u64::to_string).collect();
    let shape = match axes.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let len: u16 = narrow(text.len()); // a descr and few axes: never so long
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(len.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Reads `{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }`, keys in any order.
fn dictionary(text: &str) -> Result<NpyHeader, LayoutError> {
    let wrong = || {
        let shown: String = text.trim().chars().take(80).collect();
        LayoutError::field(
            "the header",
            format!("`{shown}`"),
            "a dictionary of descr, fortran_order and shape",
        )
    };
    let mut rest = text.trim().strip_prefix('{').ok_or_else(wrong)?;
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            if !after.trim().is_empty() {
                return Err(wrong());
            }
            break;
        }
        let (key, after) = quoted(rest).ok_or_else(wrong)?;
        rest = after.trim_start().strip_prefix(':').ok_or_else(wrong)?.trim_start();
        match key {
            "descr" if rest.starts_with('[') => {
                return Err(LayoutError::field("the element type", "a record", "one integer type"));
            }
            "descr" => {
                let (value, after) = quoted(rest).ok_or_else(wrong)?;
                (descr, rest) = (Some(value.to_owned()), after);
            }
            "fortran_order" => {
                let (value, after) = match (rest.strip_prefix("True"), rest.strip_prefix("False")) {
                    (Some(after), _) => (true, after),
                    (_, Some(after)) => (false, after),
                    _ => return Err(wrong()),
                };
                (fortran_order, rest) = (Some(value), after);
            }
            "shape" => {
                let (inside, after) = rest
                    .strip_prefix('(')
                    .and_then(|rest| rest.split_once(')'))
                    .ok_or_else(wrong)?;
                (shape, rest) = (Some(axes(inside).ok_or_else(wrong)?), after);
            }
            _ => return Err(wrong()),
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(wrong()),
        }
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => {
            Ok(NpyHeader { descr, fortran_order, shape, data_offset: 0 })
        }
        _ => Err(wrong()),
    }
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn axes(inside: &str) -> Option<Vec<u64>> {
    inside
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.strip_suffix('L').unwrap_or(axis).parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_that_numpy_writes_are_read() {
        for (version, text) in [
            (1, "{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }  \n"),
            (2, "{'shape': (3L,), 'fortran_order': False, \"descr\": \"<u2\"}\n"),
        ] {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([version, 0]);
            let len = u32::try_from(text.len()).unwrap().to_le_bytes();
            bytes.extend(&len[..if version == 1 { 2 } else { 4 }]);
            bytes.extend(text.as_bytes());

            let header = NpyHeader::parse(&bytes).unwrap();

            assert_eq!((header.descr.as_str(), header.fortran_order), ("<u2", false));
            assert_eq!((header.shape.as_slice(), header.data_offset), (&[3][..], bytes.len()));
        }
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let bytes = header("<u2", &[u64::MAX]);

        let parsed = NpyHeader::parse(&bytes).unwrap();

        assert!(parsed.flat_len(2, bytes.len() as u64).is_err());
        assert_eq!(NpyHeader { shape: vec![u64::MAX, 2], ..parsed }.len(), None);
    }

    proptest! {
        /// What is written is read back, and what is cut or flipped never panics.
        #[test]
        fn a_header_comes_back(shape in proptest::collection::vec(any::<u64>(), 0..4), cut in 0_usize..200, flip in any::<(u8, u8)>()) {
            let mut bytes = header("<u4", &shape);
            prop_assert_eq!(bytes.len() % 64, 0);
            prop_assert_eq!(NpyHeader::parse(&bytes).unwrap().shape, shape);

            let place = usize::from(flip.0) % bytes.len();
            bytes[place] ^= flip.1;
            drop(NpyHeader::parse(&bytes));
            drop(NpyHeader::parse(&bytes[..cut.min(bytes.len())]));
        }
    }
}

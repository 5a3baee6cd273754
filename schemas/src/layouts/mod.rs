//! The layouts of other tools: their headers and indexes, read from and written to plain bytes.
//!
//! Every parser here takes bytes and returns their meaning or a [`LayoutError`]. It opens no file,
//! compares each size with the bytes before it uses the size, and never panics. `docs/layouts.md`
//! describes each layout.

pub mod datatrove;
pub mod llmc;
pub mod megatron;
pub mod npy;
pub mod olmo;
pub mod safetensors;

use std::fmt::Display;

use thiserror::Error;

/// Why bytes are not in the expected layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The bytes end too early.
    #[error("{found} bytes, {what} takes {expected}")]
    Short {
        /// What does not fit.
        what: &'static str,
        /// How many bytes there are.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// A field has a value that the layout does not allow, or that this program does not read.
    #[error("{what} is {found}, expected {expected}")]
    Field {
        /// The field.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// One of many entries is wrong.
    #[error("{what} {at} is {found}, expected {expected}")]
    Entry {
        /// What the entries are.
        what: &'static str,
        /// The position of the wrong one, from 0.
        at: u64,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
}

impl LayoutError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Short { .. } => Some("the file was cut, or is of another layout; see `--from`"),
            Self::Field { what: "the element type", .. } => {
                Some("store the ids as 16- or 32-bit integers first, as in `ids.astype(np.uint16)`")
            }
            Self::Field { .. } | Self::Entry { .. } => None,
        }
    }

    fn field(what: &'static str, found: impl Display, expected: impl Display) -> Self {
        Self::Field { what, found: found.to_string(), expected: expected.to_string() }
    }

    fn entry(what: &'static str, at: usize, found: impl Display, expected: impl Display) -> Self {
        let (found, expected) = (found.to_string(), expected.to_string());
        Self::Entry { what, at: at as u64, found, expected }
    }
}

/// Reads document ends from `bytes` as `u64`, and checks them against the number of tokens.
///
/// # Errors
///
/// The bytes are not a whole number of entries, an end is before the previous one, or the last end is
/// not `tokens`.
pub fn parse_ends(bytes: &[u8], tokens: u64) -> Result<Vec<u64>, LayoutError> {
    let (entries, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        let expected = (entries.len() as u64 + 1) * 8;
        return Err(LayoutError::Short {
            what: "a whole number of document ends",
            found: bytes.len() as u64,
            expected,
        });
    }
    let ends: Vec<u64> = entries.iter().map(|eight| u64::from_le_bytes(*eight)).collect();
    check_ends(&ends, tokens)?;
    Ok(ends)
}

/// Checks document ends against the number of tokens.
///
/// # Errors
///
/// An end is before the previous one, or the last end is not `tokens`.
pub fn check_ends(ends: &[u64], tokens: u64) -> Result<(), LayoutError> {
    let mut before = 0;
    for (at, &end) in ends.iter().enumerate() {
        if end < before || end > tokens {
            return Err(LayoutError::entry(
                "document end",
                at,
                end,
                format!("{before} to {tokens}"),
            ));
        }
        before = end;
    }
    if before == tokens {
        return Ok(());
    }
    Err(LayoutError::field(
        "the last document end",
        before,
        format!("the {tokens} tokens there are"),
    ))
}

/// Reads a little-endian integer of four bytes at `at`, or `None` past the end.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    four.as_chunks::<4>().0.first().map(|four| u32::from_le_bytes(*four))
}

/// Reads a little-endian integer of eight bytes at `at`, or `None` past the end.
fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?;
    eight.as_chunks::<8>().0.first().map(|eight| u64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_go_down_or_miss_the_tokens_are_refused() {
        let bytes =
            |ends: &[u64]| ends.iter().flat_map(|end| end.to_le_bytes()).collect::<Vec<_>>();

        assert_eq!(parse_ends(&bytes(&[2, 2, 5]), 5), Ok(vec![2, 2, 5]));
        for (ends, tokens) in [(&[3, 2, 5][..], 5), (&[2, 6], 5), (&[2, 4], 5), (&[], 1)] {
            assert!(parse_ends(&bytes(ends), tokens).is_err(), "{ends:?}");
        }
        assert!(parse_ends(&[0; 9], 0).is_err());
    }
}

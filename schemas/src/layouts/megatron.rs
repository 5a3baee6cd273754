//! Megatron-LM's `.idx`: where each sequence of a headerless `.bin` begins, and each document ends.
//!
//! `MMIDIDX\0\0`, u64 version 1, u8 element type, u64 sequences S, u64 boundaries D; then the arrays
//! i32\[S\] lengths, i64\[S\] byte offsets, i64\[D\] document boundaries (as sequence numbers, with a
//! leading 0) and, for multimodal data, i8\[S\] modes. The arrays are not aligned.

use super::{LayoutError, long, word};
use crate::narrow::narrow;
use crate::token::Dtype;

/// The first bytes of an index.
pub const MAGIC: &[u8; 9] = b"MMIDIDX\x00\x00";

/// The position of the arrays.
pub const HEADER_BYTES: usize = 34;

/// The code of an element type: 8 is `uint16`, 4 is `int32` (ids below 2³¹ look the same as `u32`).
pub fn code_of(dtype: Dtype) -> u8 {
    match dtype {
        Dtype::U16 => 8,
        Dtype::U32 => 4,
    }
}

/// An index, viewed in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct MegatronIndex<'a> {
    dtype: Dtype,
    sequences: usize,
    lengths: &'a [u8],
    offsets: &'a [u8],
    boundaries: &'a [u8],
}

impl<'a> MegatronIndex<'a> {
    /// Reads a whole index; the file's size must match its counts.
    ///
    /// # Errors
    ///
    /// The bytes are not an index of version 1, or the elements are not 16- or 32-bit integers.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LayoutError> {
        let found = bytes.len() as u64;
        let short = |what, expected| LayoutError::Short { what, found, expected };
        let Some(magic) = bytes.get(..MAGIC.len()) else {
            return Err(short("the header", HEADER_BYTES as u64));
        };
        if magic != MAGIC {
            return Err(LayoutError::field("the beginning", format!("{magic:02x?}"), "`MMIDIDX`"));
        }
        let (Some(version), Some(&code), Some(sequences), Some(boundaries)) =
            (long(bytes, 9), bytes.get(17), long(bytes, 18), long(bytes, 26))
        else {
            return Err(short("the header", HEADER_BYTES as u64));
        };
        if version != 1 {
            return Err(LayoutError::field("the version", version, 1));
        }
        let dtype = match code {
            8 => Dtype::U16,
            4 => Dtype::U32,
            other => {
                let expected = "8 (uint16) or 4 (int32)";
                return Err(LayoutError::field("the element type", other, expected));
            }
        };
        let expected = sequences
            .checked_mul(12)
            .and_then(|n| n.checked_add(boundaries.checked_mul(8)?)?.checked_add(34))
            .unwrap_or(u64::MAX);
        // A multimodal index has one more byte for each sequence, which does not concern tokens.
        if found != expected && Some(found) != expected.checked_add(sequences) {
            return Err(short("the index", expected));
        }
        let too_long = |_| short("the index", expected);
        let sequences = usize::try_from(sequences).map_err(too_long)?;
        let boundaries = usize::try_from(boundaries).map_err(too_long)?;
        let (lengths, rest) = bytes[HEADER_BYTES..].split_at(sequences * 4);
        let (offsets, rest) = rest.split_at(sequences * 8);
        Ok(Self { dtype, sequences, lengths, offsets, boundaries: &rest[..boundaries * 8] })
    }

    /// Returns the width of the ids.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Returns how many sequences there are.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Returns the end of every document in tokens, checked against a bin of `bin_bytes`.
    ///
    /// # Errors
    ///
    /// A length is negative, a sequence does not begin where the previous one ends, the documents do
    /// not cover the sequences, or the sequences do not cover the bin.
    pub fn ends(&self, bin_bytes: u64) -> Result<Vec<u64>, LayoutError> {
        let width = self.dtype.width() as u64;
        let mut tokens = 0_u64;
        let mut next = 0; // the sequence that comes next
        let mut ends = Vec::new();
        for at in 0..self.boundaries.len() / 8 {
            let boundary = long(self.boundaries, at * 8).unwrap_or(u64::MAX);
            let wanted =
                |expected: String| LayoutError::entry("document boundary", at, boundary, expected);
            let until = narrow(boundary);
            if at == 0 && boundary != 0 {
                return Err(wanted("0".into()));
            }
            if until < next || until > self.sequences {
                return Err(wanted(format!("{next} to {}", self.sequences)));
            }
            while next < until {
                tokens = self.sequence(next, tokens, width)?;
                next += 1;
            }
            if at > 0 {
                ends.push(tokens);
            }
        }
        if next != self.sequences {
            let expected = format!("the {} sequences there are", self.sequences);
            return Err(LayoutError::field("the last document boundary", next, expected));
        }
        if tokens.checked_mul(width) != Some(bin_bytes) {
            return Err(LayoutError::Short {
                what: "the sequences of the index",
                found: bin_bytes,
                expected: tokens.saturating_mul(width),
            });
        }
        Ok(ends)
    }

    /// Returns the end in tokens of sequence `at`, which must begin at `start`.
    fn sequence(&self, at: usize, start: u64, width: u64) -> Result<u64, LayoutError> {
        let len = word(self.lengths, at * 4).unwrap_or(u32::MAX);
        if len > i32::MAX.unsigned_abs() {
            return Err(LayoutError::entry("sequence length", at, len.cast_signed(), "0 or more"));
        }
        let offset = long(self.offsets, at * 8).unwrap_or(u64::MAX);
        let expected = start.saturating_mul(width);
        if offset != expected {
            return Err(LayoutError::entry("sequence offset", at, offset, expected));
        }
        Ok(start.saturating_add(len.into()))
    }
}

/// Returns the index of a bin whose documents, one sequence each, end at `ends`, in pieces.
///
/// # Errors
///
/// A document is longer than 2³¹ - 1 tokens, which the layout does not allow.
pub fn index(dtype: Dtype, ends: &[u64], mut write: impl FnMut(&[u8])) -> Result<(), LayoutError> {
    let starts = || std::iter::once(0).chain(ends.iter().copied());
    for (at, (start, &end)) in starts().zip(ends).enumerate() {
        if i32::try_from(end - start).is_err() {
            let expected = format!("at most {}", i32::MAX);
            return Err(LayoutError::entry("the length of document", at, end - start, expected));
        }
    }
    write(MAGIC);
    write(&1_u64.to_le_bytes());
    write(&[code_of(dtype)]);
    write(&(ends.len() as u64).to_le_bytes());
    write(&(ends.len() as u64 + 1).to_le_bytes());
    for (start, &end) in starts().zip(ends) {
        write(&narrow::<_, u32>(end - start).to_le_bytes());
    }
    for (start, _) in starts().zip(ends) {
        write(&(start * dtype.width() as u64).to_le_bytes());
    }
    for boundary in 0..=ends.len() as u64 {
        write(&boundary.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn built(dtype: Dtype, ends: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        index(dtype, ends, |piece| bytes.extend_from_slice(piece)).unwrap();
        bytes
    }

    #[test]
    fn counts_that_overflow_are_refused() {
        let mut bytes = built(Dtype::U16, &[3]);
        bytes[18..26].copy_from_slice(&u64::MAX.to_le_bytes());

        assert!(matches!(MegatronIndex::parse(&bytes), Err(LayoutError::Short { .. })));
    }

    proptest! {
        /// What is written is read back; what is cut or flipped is an error or another index.
        #[test]
        fn an_index_comes_back(lens in proptest::collection::vec(0_u64..1000, 0..20), flip in any::<(u16, u8)>()) {
            let ends: Vec<u64> = lens.iter().scan(0, |at, len| { *at += len; Some(*at) }).collect();
            let tokens = ends.last().copied().unwrap_or(0);
            let mut bytes = built(Dtype::U16, &ends);
            prop_assert_eq!(bytes.len(), 34 + 12 * ends.len() + 8 * (ends.len() + 1));
            prop_assert_eq!(MegatronIndex::parse(&bytes).unwrap().ends(tokens * 2).unwrap(), ends);

            let place = usize::from(flip.0) % bytes.len();
            bytes[place] ^= flip.1;
            drop(MegatronIndex::parse(&bytes).and_then(|index| index.ends(tokens * 2)));
            prop_assert!(MegatronIndex::parse(&bytes[..place]).is_err());
        }
    }
}

//! llm.c's and modded-nanogpt's bins: 256 `i32` of header, then ids; EOS begins each document.

use super::{LayoutError, word};
use crate::narrow::narrow;
use crate::token::Dtype;

/// The size of the header.
pub const HEADER_BYTES: usize = 1024;

/// The magic number and version of each width: GPT-2's bins, and llm.c's Llama 3 variant.
const KINDS: [(Dtype, u32, u32); 2] = [(Dtype::U16, 20_240_520, 1), (Dtype::U32, 20_240_801, 7)];

/// The most tokens that a header can declare.
pub const MAX_TOKENS: u64 = i32::MAX.unsigned_abs() as u64;

/// What the header of a bin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlmcHeader {
    /// The width of the ids.
    pub dtype: Dtype,
    /// How many ids follow the header.
    pub tokens: u64,
}

impl LlmcHeader {
    /// Reads the header at the beginning of `bytes`, and checks it against a file of `file_bytes`.
    ///
    /// # Errors
    ///
    /// The bytes are not such a header, or the file has another size.
    pub fn parse(bytes: &[u8], file_bytes: u64) -> Result<Self, LayoutError> {
        let short = |what, expected| LayoutError::Short { what, found: file_bytes, expected };
        let (Some(magic), Some(version), Some(tokens), Some(_)) =
            (word(bytes, 0), word(bytes, 4), word(bytes, 8), bytes.get(HEADER_BYTES - 1))
        else {
            return Err(short("the header", HEADER_BYTES as u64));
        };
        let Some((dtype, _, expected)) = KINDS.into_iter().find(|kind| kind.1 == magic) else {
            return Err(LayoutError::field("the magic number", magic, "20240520 or 20240801"));
        };
        if version != expected {
            return Err(LayoutError::field("the version", version, expected));
        }
        let tokens = u64::from(tokens);
        if tokens > MAX_TOKENS {
            return Err(LayoutError::field(
                "the number of tokens",
                tokens,
                format!("at most {MAX_TOKENS}"),
            ));
        }
        let expected = HEADER_BYTES as u64 + tokens * dtype.width() as u64;
        if file_bytes != expected {
            return Err(short("the bin", expected));
        }
        Ok(Self { dtype, tokens })
    }

    /// Returns the bytes of the header.
    ///
    /// # Errors
    ///
    /// There are more tokens than the layout allows.
    pub fn to_bytes(self) -> Result<Vec<u8>, LayoutError> {
        if self.tokens > MAX_TOKENS {
            return Err(LayoutError::field(
                "the number of tokens",
                self.tokens,
                format!("at most {MAX_TOKENS}"),
            ));
        }
        let tokens: u32 = narrow(self.tokens);
        let mut bytes = vec![0; HEADER_BYTES];
        for (dtype, magic, version) in KINDS {
            if dtype == self.dtype {
                bytes[..4].copy_from_slice(&magic.to_le_bytes());
                bytes[4..8].copy_from_slice(&version.to_le_bytes());
            }
        }
        bytes[8..12].copy_from_slice(&tokens.to_le_bytes());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is written is read back, a wrong size is refused, and nothing panics.
        #[test]
        fn a_header_comes_back(tokens in 0..MAX_TOKENS, wide in any::<bool>(), flip in any::<(u16, u8)>()) {
            let dtype = if wide { Dtype::U32 } else { Dtype::U16 };
            let header = LlmcHeader { dtype, tokens };
            let mut bytes = header.to_bytes().unwrap();
            let size = 1024 + tokens * dtype.width() as u64;
            prop_assert_eq!(LlmcHeader::parse(&bytes, size), Ok(header));
            prop_assert!(LlmcHeader::parse(&bytes, size + 1).is_err());

            let place = usize::from(flip.0) % bytes.len();
            bytes[place] ^= flip.1;
            drop(LlmcHeader::parse(&bytes, size));
            prop_assert!(LlmcHeader::parse(&bytes[..place], size).is_err());
        }
    }

    #[test]
    fn more_tokens_than_the_header_can_say_are_refused() {
        assert!(LlmcHeader { dtype: Dtype::U16, tokens: MAX_TOKENS + 1 }.to_bytes().is_err());
    }
}

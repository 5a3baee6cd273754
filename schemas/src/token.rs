//! Token ids and the width they are stored in.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An id in a tokenizer's vocabulary.
pub type TokenId = u32;

/// The label of a position that the loss ignores, as in PyTorch's cross-entropy.
pub const IGNORE_INDEX: i32 = -100;

/// The width of one stored token id.
///
/// On disk, ids are little-endian unsigned integers of this width, without a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Two bytes an id: vocabularies up to 65,536 ids.
    U16,
    /// Four bytes an id.
    U32,
}

impl Dtype {
    /// Returns the narrowest width that holds every id of a vocabulary.
    pub fn for_vocab(vocab_size: u32) -> Self {
        if vocab_size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// Returns whether an id can be stored in this width.
    pub fn holds(self, id: TokenId) -> bool {
        self == Self::U32 || u16::try_from(id).is_ok()
    }

    /// Returns the size of one id.
    ///
    /// # Units
    ///
    /// Bytes.
    pub fn width(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    /// Returns NumPy's name of the width, as in `np.memmap(path, dtype=…)`.
    pub fn numpy_name(self) -> &'static str {
        match self {
            Self::U16 => "uint16",
            Self::U32 => "uint32",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U16 => "u16",
            Self::U32 => "u32",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_width_holds_the_largest_id() {
        assert_eq!(Dtype::for_vocab(32_000), Dtype::U16);
        assert_eq!(Dtype::for_vocab(65_536), Dtype::U16);
        assert_eq!(Dtype::for_vocab(65_537), Dtype::U32);
    }
}

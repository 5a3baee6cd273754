//! How duplicates are found, and how the place of a part is written.

use serde::{Deserialize, Serialize};

use super::minhash::MinHash;
use super::normal::{Normalize, Unit};

/// How duplicates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Dedup {
    /// Parts of texts that are the same.
    Exact {
        /// Which parts.
        unit: Unit,
        /// What counts of them.
        normalize: Normalize,
        /// Parts with fewer words are always kept.
        min_words: usize,
    },
    /// Texts that share most of their n-grams.
    Near(MinHash),
}

/// How many bits of a place are the number of a part within its row.
pub(super) const PART_BITS: u32 = 24;

/// The largest number of a part that is compared; later parts of a row are kept.
pub(super) const MOST_PARTS: u64 = 1 << PART_BITS;

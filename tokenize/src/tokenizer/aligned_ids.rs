//! Ids, and where in the text each of them comes from.

use std::ops::Range;

use ratdata_schemas::TokenId;

/// Ids of a text, and for each the bytes of the text that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlignedIds {
    /// The ids.
    pub ids: Vec<TokenId>,
    /// For each id, its bytes; empty for a `▁` that was put before the text.
    pub ranges: Vec<Range<usize>>,
}

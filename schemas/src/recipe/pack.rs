//! The recipe of `pack`: how documents are put into rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of a packing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// How documents are put into rows.
    pub pack: PackConfig,
    /// Whether the rows are written out.
    pub materialize: bool,
    /// The split that is packed; all splits of token bins if there is none.
    pub split: Option<String>,
}

/// How documents are put into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// One after the other, cut where a row is full: the reference's rows.
    Concat,
    /// Whole, each into the fullest row with room.
    BestFit,
}

/// What becomes of a document longer than a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Long {
    /// Split it over rows.
    #[default]
    Split,
    /// Leave it out.
    Drop,
}

/// What decides a pack's rows, apart from the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackConfig {
    /// How many inputs a row has.
    pub seq_len: u32,
    /// How documents are put into rows.
    pub packing: Algorithm,
    /// What becomes of documents longer than a row; `concat` splits always.
    pub long: Long,
    /// Documents begin at columns that are multiples of this.
    pub align: u32,
    /// The seed of the documents' order; their order in the bins where there is none.
    pub seed: Option<u64>,
}

impl PackConfig {
    /// Returns how many tokens a row has.
    pub fn row_len(&self) -> u32 {
        self.seq_len + 1
    }

    /// Returns the first column from `column` on where a document may begin.
    pub fn aligned(&self, column: u32) -> u32 {
        column.checked_next_multiple_of(self.align.max(1)).unwrap_or(u32::MAX)
    }
}

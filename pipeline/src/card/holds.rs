//! What a split holds, in the units of its layout.

use ratdata_schemas::SplitRecord;

/// What a split holds, in the units of its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holds {
    /// The layout, for people.
    pub(crate) layout: &'static str,
    /// Documents or rows.
    pub(crate) records: u64,
    /// Tokens, if they were counted.
    pub(crate) tokens: Option<u64>,
    /// The bytes of its files.
    pub(crate) bytes: u64,
}

impl Holds {
    /// Counts what a manifest says of a split.
    pub(crate) fn of(split: &SplitRecord) -> Self {
        let bytes = split.files().iter().map(|file| file.bytes).sum();
        let (layout, records, tokens) = match split {
            SplitRecord::Shards { shards } => (
                "documents in token bins",
                shards.iter().map(|shard| shard.documents).sum(),
                Some(shards.iter().map(|shard| shard.tokens).sum()),
            ),
            SplitRecord::Pairs(pairs) => ("rows of inputs and labels", pairs.rows, None),
            SplitRecord::Pack(pack) => ("rows as spans", pack.rows, Some(pack.tokens)),
            SplitRecord::Rows(rows) => ("packed rows", rows.pack.rows, Some(rows.pack.tokens)),
        };
        Self { layout, records, tokens, bytes }
    }
}

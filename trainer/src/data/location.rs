//! Where a sequence is on disk.

use std::path::PathBuf;

use serde::Serialize;

/// Where a sequence is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceLocation {
    /// The artifact or the bin.
    pub path: PathBuf,
    /// The split.
    pub split: String,
    /// The sequence's number in the split.
    pub row: u64,
    /// The token that it begins with, by its position in the stream of tokens; rows of pairs have
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<u64>,
    /// The token bin that it begins in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<PathBuf>,
    /// The position of its first token in that bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_token: Option<usize>,
}

//! A file of an artifact, as its manifest records it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Where it lies, relative to the artifact folder, with `/` between names.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub blake3: Checksum,
}

//! Where a run is in its data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts the sequences that were drawn, together and of each source.
///
/// The next batch follows from this and the configuration. Other weights, another source or
/// another number of devices do not change what was drawn, and each source continues where it
/// stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Sequences drawn from all sources together.
    pub sequences: u64,
    /// Sequences drawn from each source, by its name.
    pub drawn: BTreeMap<String, u64>,
}

impl Cursor {
    /// Counts sequences of a source, and returns how many of it were drawn before.
    pub(super) fn advance(&mut self, source: &str, sequences: u64) -> u64 {
        let drawn = match self.drawn.get_mut(source) {
            Some(drawn) => drawn,
            None => self.drawn.entry(source.to_owned()).or_default(),
        };
        let before = *drawn;
        *drawn += sequences;
        self.sequences += sequences;
        before
    }
}

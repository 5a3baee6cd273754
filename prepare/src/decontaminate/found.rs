//! Reads the hits of a finished result, for people to look at.

use std::path::Path;

use ratdata_schemas::RelativePath;
use serde_json::Value;

use super::read_best;
use crate::error::PrepareError;
use crate::prepared::Prepared;

/// The hits of a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundHits {
    /// How many rows have their best score in each tenth: the last has those of 1, too.
    pub by_tenth: [u64; 10],
    /// The first rows of each tenth, the highest scores first.
    pub shown: Vec<ShownHit>,
}

/// The best hit of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownHit {
    /// The row's file.
    pub file: String,
    /// Its place in the file.
    pub row: u64,
    /// The share of the passage's n-grams that the row has.
    pub score: f64,
    /// How many n-grams that are.
    pub matched: u64,
    /// How many n-grams the passage has.
    pub of: u64,
    /// The passage and what the row has.
    pub detail: Value,
}

impl FoundHits {
    /// Reads the hits of a folder, and shows `most` of each tenth; a result of another command has none.
    ///
    /// # Errors
    ///
    /// The hits cannot be read.
    pub fn read(folder: &Path, prepared: &Prepared, most: usize) -> Result<Self, PrepareError> {
        let mut found = Self::default();
        let mut shown: Vec<Vec<ShownHit>> = vec![Vec::new(); found.by_tenth.len()];
        let passes = prepared.more["passes"].as_array().into_iter().flatten();
        for (file, pass) in prepared.files.iter().zip(passes) {
            // A record is read back from a folder that may be anybody's.
            let path = pass["record"]["file"]["path"].as_str();
            let Some(path) = path.and_then(|path| RelativePath::new(path).ok()) else { continue };
            for (row, detail) in read_best(&folder.join(path.as_str()), 0.0)? {
                let score = detail["score"].as_f64().unwrap_or(0.0);
                let tenth = (1..10).take_while(|tenth| score >= f64::from(*tenth) / 10.0).count();
                found.by_tenth[tenth] += 1;
                if shown[tenth].len() < most {
                    shown[tenth].push(ShownHit {
                        file: file.name.clone(),
                        row,
                        score,
                        matched: detail["matched"].as_u64().unwrap_or(0),
                        of: detail["of"].as_u64().unwrap_or(0),
                        detail,
                    });
                }
            }
        }
        found.shown = shown.into_iter().rev().flatten().collect();
        Ok(found)
    }

    /// Returns how many rows have a hit.
    pub fn rows(&self) -> u64 {
        self.by_tenth.iter().sum()
    }
}

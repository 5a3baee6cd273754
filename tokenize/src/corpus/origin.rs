//! Leads a document of an artifact back to its file and row, by the recorded order alone.

use ratdata_schemas::{Manifest, SplitRecord};
use thiserror::Error;

use super::config::JobConfig;
use super::split::split_rows;

/// Where a document came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The place of its file in the manifest's sources.
    pub source: usize,
    /// Its place among the documents of that file; rows that were left out are not counted.
    pub document: u32,
}

/// Why documents cannot be led back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OriginError {
    /// The artifact was not made by a tokenize job.
    #[error("the artifact was not made by `ratdata tokenize`: {reason}")]
    NotTokenized {
        /// What is missing or wrong.
        reason: String,
    },
    /// The split holds another number of documents than its sources give.
    #[error("split `{split}` holds {found} documents, its sources give {expected}")]
    Count {
        /// The split.
        split: String,
        /// How many the sources give.
        expected: u64,
        /// How many the shards have.
        found: u64,
    },
}

/// The documents of one split, by where they came from.
#[derive(Debug)]
pub struct Origins {
    /// For each source, its documents of this split, in the split's order.
    sources: Vec<Vec<u32>>,
    /// The split's documents before each source.
    firsts: Vec<u64>,
    /// How many documents each source has in all splits.
    documents: Vec<u32>,
}

impl Origins {
    /// Draws the order of a split again.
    ///
    /// # Errors
    ///
    /// The artifact was not made by a tokenize job, or its counts contradict each other.
    pub fn of(manifest: &Manifest, split: &str) -> Result<Self, OriginError> {
        let not_tokenized = |reason: String| OriginError::NotTokenized { reason };
        let config: JobConfig = serde_json::from_value(manifest.config.clone())
            .map_err(|wrong| not_tokenized(wrong.to_string()))?;
        let Some(SplitRecord::Shards { shards }) = manifest.splits.get(split) else {
            return Err(not_tokenized(format!("split `{split}` holds no token bins")));
        };
        let mut sources = Vec::new();
        let mut documents = Vec::new();
        let mut firsts = Vec::new();
        let mut total = 0;
        let mut left = config.limit_docs.unwrap_or(u64::MAX);
        for source in &manifest.sources {
            let kept = source.rows.saturating_sub(source.bad_rows).min(left);
            left -= kept;
            let kept = u32::try_from(kept).map_err(|_| {
                not_tokenized(format!("{}: more than 4,294,967,295 documents", source.name))
            })?;
            let rows = split_rows(kept, config.val_fraction, config.split_seed, config.order);
            let rows = if split == "val" { rows.val } else { rows.train };
            firsts.push(total);
            total += rows.len() as u64;
            sources.push(rows);
            documents.push(kept);
        }
        let found = shards.iter().map(|shard| shard.documents).sum();
        if total != found {
            return Err(OriginError::Count { split: split.to_owned(), expected: total, found });
        }
        Ok(Self { sources, firsts, documents })
    }

    /// Returns where document `document` of the split came from; none past the last.
    pub fn locate(&self, document: u64) -> Option<Origin> {
        let source = self.firsts.partition_point(|&first| first <= document).checked_sub(1)?;
        // Sources without a document in this split begin where the next one does.
        let within = usize::try_from(document - self.firsts[source]).ok()?;
        self.sources[source].get(within).map(|&document| Origin { source, document })
    }

    /// Returns the documents of a source as `(document of the split, document of the file)`.
    pub fn of_source(&self, source: usize) -> impl Iterator<Item = (u64, u32)> + '_ {
        let first = self.firsts[source];
        (first..).zip(self.sources[source].iter().copied())
    }

    /// Returns how many documents a source has in all splits.
    pub fn documents(&self, source: usize) -> u32 {
        self.documents[source]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_found_in_its_source() {
        let origins = Origins {
            sources: vec![vec![2, 0], vec![], vec![5]],
            firsts: vec![0, 2, 2],
            documents: vec![3, 0, 6],
        };

        assert_eq!(origins.locate(1), Some(Origin { source: 0, document: 0 }));
        assert_eq!(origins.locate(2), Some(Origin { source: 2, document: 5 }));
        assert_eq!(origins.locate(3), None);
    }
}

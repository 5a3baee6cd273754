//! The results of the shares of a check, until a run joins them.
//!
//! ```text
//! OUT/.job/done/KEY-I-of-N.json  the result of share I of N; KEY is a checksum of all that decides it
//! OUT/report.json                the joined result
//! ```

use std::path::Path;

use ratdata_schemas::{ArtifactError, Checksum, Receipts, Workspace, write_json};
use ratdata_tokenize::Share;
use serde::{Deserialize, Serialize};

use super::{Compared, Finding, Proof};

/// The result of a share of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portion {
    pub(crate) share: Share,
    /// How much was verified.
    pub(crate) proof: Proof,
    /// Documents that were encoded again, if the user asked for it.
    pub(crate) documents: Option<Compared>,
    /// The first fault.
    pub(crate) finding: Option<Finding>,
    /// The state of all files that the check reads; `None` if a change might not show.
    #[serde(default)]
    pub(crate) seen: Option<Checksum>,
}

impl Portion {
    /// A share that has checked nothing yet.
    pub(crate) fn new(share: Share) -> Self {
        Self { share, proof: Proof::default(), documents: None, finding: None, seen: None }
    }

    /// Joins all shares of one check.
    pub(crate) fn joined(portions: Vec<Self>) -> Self {
        portions.into_iter().fold(Self::new(Share::WHOLE), |sum, portion| Self {
            share: Share::WHOLE,
            proof: sum.proof.and(portion.proof),
            documents: match (sum.documents, portion.documents) {
                (Some(sum), Some(documents)) => Some(sum.and(documents)),
                (sum, documents) => sum.or(documents),
            },
            finding: [sum.finding, portion.finding].into_iter().flatten().min(),
            seen: None,
        })
    }
}

/// The folder of the portions of one check.
#[derive(Debug)]
pub(crate) struct Portions {
    key: String,
    receipts: Receipts,
    workspace: Workspace,
}

impl Portions {
    /// Opens the folder for the check that `of` describes.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or another run works in it.
    pub(crate) fn open(out: &Path, of: &serde_json::Value) -> Result<Self, ArtifactError> {
        let key = format!("{:.16}", Checksum::of_value(of).as_str());
        Ok(Self { key, receipts: Receipts::of(out), workspace: Workspace::lock(out)? })
    }

    /// Stores the result of a share.
    pub(crate) fn record(&self, portion: &Portion) -> Result<(), ArtifactError> {
        self.receipts.record(&format!("{}-{}", self.key, portion.share.name()), portion)
    }

    /// Returns the existing portions and the missing shares, for the number of shares of which the fewest
    /// are missing. Without a portion, the whole is missing. Portions with another state of the files do
    /// not count, because the files have to be checked again.
    ///
    /// # Errors
    ///
    /// The portions cannot be read.
    pub(crate) fn known(
        &self,
        seen: Option<&Checksum>,
    ) -> Result<(Vec<Portion>, Vec<Share>), ArtifactError> {
        let mut portions: Vec<Portion> = Vec::new();
        for name in self.receipts.names()? {
            if name.starts_with(&format!("{}-", self.key)) {
                portions.extend(self.receipts.read::<Portion>(&name)?);
            }
        }
        portions.retain(|portion| portion.seen.is_some() && portion.seen.as_ref() == seen);
        portions.sort_by_key(|portion| (portion.share.count, portion.share.number));
        portions.dedup_by_key(|portion| portion.share);
        let missing = |count: usize| -> Vec<Share> {
            let there = |share: &Share| portions.iter().any(|portion| portion.share == *share);
            Share::all(count).filter(|share| !there(share)).collect()
        };
        let counts = portions.iter().map(|portion| portion.share.count);
        let cuts = counts.map(|count| (count, missing(count)));
        let Some((count, missing)) = cuts.min_by_key(|(_, missing)| missing.len()) else {
            return Ok((Vec::new(), vec![Share::WHOLE]));
        };
        portions.retain(|portion| portion.share.count == count);
        Ok((portions, missing))
    }

    /// Writes the report of all portions, and removes them.
    pub(crate) fn finish<R: Serialize>(&self, report: &R) -> Result<(), ArtifactError> {
        write_json(&self.workspace.out().join("report.json"), report)?;
        self.forget()
    }

    /// Removes the portions, so that the next check reads everything again.
    pub(crate) fn forget(&self) -> Result<(), ArtifactError> {
        self.workspace.end_job()
    }
}

//! What the shares of a check have found, until a run joins it.
//!
//! ```text
//! OUT/.job/done/KEY-I-of-N.json  what share I of N has found; KEY stands for all that decides it
//! OUT/report.json                what all of them found
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::{ArtifactError, Checksum, DirLock, StagedFile};
use ratdata_tokenize::Share;
use serde::{Deserialize, Serialize};

use super::{Finding, Proof};

/// What a share of a check has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portion {
    pub(crate) share: Share,
    /// How much was proved.
    pub(crate) proof: Proof,
    /// Documents that were encoded again, where that was asked for.
    pub(crate) documents: Option<u64>,
    /// The first of what is not as recorded.
    pub(crate) finding: Option<Finding>,
    /// The state of all files that the check reads; none where it may change unseen.
    #[serde(default)]
    pub(crate) seen: Option<Checksum>,
}

impl Portion {
    /// A share that has looked at nothing yet.
    pub(crate) fn new(share: Share) -> Self {
        Self { share, proof: Proof::default(), documents: None, finding: None, seen: None }
    }

    /// Joins all shares of one check.
    pub(crate) fn joined(portions: Vec<Self>) -> Self {
        portions.into_iter().fold(Self::new(Share::WHOLE), |sum, portion| Self {
            share: Share::WHOLE,
            proof: sum.proof.and(portion.proof),
            documents: portion.documents.map_or(sum.documents, |documents| {
                Some(sum.documents.unwrap_or_default() + documents)
            }),
            finding: [sum.finding, portion.finding].into_iter().flatten().min(),
            seen: None,
        })
    }
}

/// The folder in which the portions of one check come together.
#[derive(Debug)]
pub(crate) struct Portions {
    out: PathBuf,
    key: String,
    _lock: DirLock,
}

impl Portions {
    /// Opens the folder for the check that `of` describes.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or another run is at work in it.
    pub(crate) fn open(out: &Path, of: &serde_json::Value) -> Result<Self, ArtifactError> {
        let key = format!("{:.16}", Checksum::of_value(of).as_str());
        Ok(Self { out: out.to_owned(), key, _lock: DirLock::take(out)? })
    }

    fn path(&self, share: Share) -> PathBuf {
        self.out.join(".job/done").join(format!("{}-{}.json", self.key, share.name()))
    }

    /// Records what a share has found.
    pub(crate) fn record(&self, portion: &Portion) -> Result<(), ArtifactError> {
        write_json(&self.path(portion.share), portion)
    }

    /// Returns the portions that are there of the cut of which the fewest are missing, and the shares
    /// that are missing: the whole, where there is no portion. Those of another state of the files do
    /// not count: what was touched is looked at again.
    pub(crate) fn known(&self, seen: Option<&Checksum>) -> (Vec<Portion>, Vec<Share>) {
        let mut portions: Vec<Portion> = Vec::new();
        for entry in fs::read_dir(self.out.join(".job/done")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}-", self.key)) {
                let text = fs::read(entry.path()).ok();
                // One that does not parse is of another version: it is made again.
                portions
                    .extend(text.and_then(|text| serde_json::from_slice::<Portion>(&text).ok()));
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
            return (Vec::new(), vec![Share::WHOLE]);
        };
        portions.retain(|portion| portion.share.count == count);
        (portions, missing)
    }

    /// Writes the report of all portions, and forgets them.
    pub(crate) fn finish<R: Serialize>(&self, report: &R) -> Result<(), ArtifactError> {
        write_json(&self.out.join("report.json"), report)?;
        self.forget()
    }

    /// Forgets what the portions found, so that the next check looks again.
    pub(crate) fn forget(&self) -> Result<(), ArtifactError> {
        let path = self.out.join(".job");
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ArtifactError::Io { path, source })
            }
            _ => Ok(()),
        }
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
    let mut file = StagedFile::create(path)?;
    file.write_json(value)?;
    file.commit().map(drop)
}

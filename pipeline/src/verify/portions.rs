//! The results of the shares of a check, until a run joins them.
//!
//! ```text
//! OUT/.job/done/KEY-I-of-N.json  the result of share I of N; KEY is a checksum of all that decides it
//! OUT/report.json                the joined result
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::{ArtifactError, Checksum, DirLock, StagedFile};
use ratdata_tokenize::Share;
use serde::{Deserialize, Serialize};

use super::{Finding, Proof};

/// The result of a share of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Portion {
    pub(crate) share: Share,
    /// How much was verified.
    pub(crate) proof: Proof,
    /// Documents that were encoded again, if the user asked for it.
    pub(crate) documents: Option<u64>,
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
            documents: portion.documents.map_or(sum.documents, |documents| {
                Some(sum.documents.unwrap_or_default() + documents)
            }),
            finding: [sum.finding, portion.finding].into_iter().flatten().min(),
            seen: None,
        })
    }
}

/// The folder of the portions of one check.
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
    /// The folder cannot be written, or another run works in it.
    pub(crate) fn open(out: &Path, of: &serde_json::Value) -> Result<Self, ArtifactError> {
        let key = format!("{:.16}", Checksum::of_value(of).as_str());
        Ok(Self { out: out.to_owned(), key, _lock: DirLock::take(out)? })
    }

    fn path(&self, share: Share) -> PathBuf {
        self.out.join(".job/done").join(format!("{}-{}.json", self.key, share.name()))
    }

    /// Stores the result of a share.
    pub(crate) fn record(&self, portion: &Portion) -> Result<(), ArtifactError> {
        write_json(&self.path(portion.share), portion)
    }

    /// Returns the existing portions and the missing shares, for the number of shares of which the fewest
    /// are missing. Without a portion, the whole is missing. Portions with another state of the files do
    /// not count, because the files have to be checked again.
    pub(crate) fn known(&self, seen: Option<&Checksum>) -> (Vec<Portion>, Vec<Share>) {
        let mut portions: Vec<Portion> = Vec::new();
        for entry in fs::read_dir(self.out.join(".job/done")).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}-", self.key)) {
                let text = fs::read(entry.path()).ok();
                // A portion that does not parse is from another version; it is made again.
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

    /// Writes the report of all portions, and removes them.
    pub(crate) fn finish<R: Serialize>(&self, report: &R) -> Result<(), ArtifactError> {
        write_json(&self.out.join("report.json"), report)?;
        self.forget()
    }

    /// Removes the portions, so that the next check reads everything again.
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

//! What a job leaves in its folder while it works: the config it runs with, and a receipt a file.
//!
//! ```text
//! OUT/.job/job.json          the config, tokenizer and names of inputs; another job's is refused
//! OUT/.job/files.json        the names of the shards that it makes
//! OUT/.job/done/STEM.json    the file's shards are whole
//! OUT/.job/merging/STEM.json how many shards are absorbed into the merged bin
//! ```
//!
//! A receipt has the checksum of all bytes of its file, and what the system said of the file then, so
//! that a file that was edited since is made again, and one that was not is not read again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::recipe::Recipe;
use ratdata_schemas::{
    ArtifactError, Facts, MANIFEST_FILE, Manifest, ShardRecord, SourceRecord, StagedFile,
    remove_file_if_exists, remove_folder_if_exists,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::JobError;
use super::own_files::OwnFiles;
use crate::difference::difference;

/// The folder of a job that is not finished.
pub(crate) const JOB_FOLDER: &str = ".job";

/// What is known of a file that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    pub(crate) source: SourceRecord,
    /// The shard of each split.
    pub(crate) shards: BTreeMap<String, ShardRecord>,
    /// Documents of the file, after `limit_docs`.
    pub(crate) documents: u64,
    /// What is known of the file's content.
    #[serde(default)]
    pub(crate) known: Facts,
}

/// The job folder of an output folder.
#[derive(Clone, Debug)]
pub(crate) struct JobState {
    folder: PathBuf,
}

impl JobState {
    pub(crate) fn of(out: &Path) -> Self {
        Self { folder: out.join(JOB_FOLDER) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn receipt_path(&self, stem: &str) -> PathBuf {
        self.folder.join("done").join(format!("{stem}.json"))
    }

    /// Begins a job or continues the same one; another one that has nothing done makes room.
    ///
    /// # Errors
    ///
    /// The folder holds another job of which something is done.
    pub(crate) fn begin(&self, out: &Path, job: &Value) -> Result<(), JobError> {
        let path = self.folder.join("job.json");
        if let Some(theirs) = read_json::<Value>(&path)? {
            // An export or import keeps its note here, too.
            let foreign = theirs.get("config").is_none();
            match difference(&with_names(theirs), job) {
                None => return Ok(()),
                Some(difference) if foreign || self.has_done()? => {
                    return Err(JobError::OtherJob { out: out.to_owned(), difference });
                }
                // A command that failed before its first file was done, as by a mistyped option: what
                // it has begun is of no use to anybody.
                Some(_) => remove_job(out, self)?,
            }
        }
        let mut file = StagedFile::create(&path)?;
        file.write_json(job)?;
        file.commit()?;
        Ok(())
    }

    /// Returns whether any file is done, or absorbed into a merged one.
    fn has_done(&self) -> Result<bool, JobError> {
        let done = json_stems(&self.folder.join("done"))?;
        Ok(!done.is_empty() || !self.merging()?.is_empty())
    }

    /// Records which names the job gives its files.
    pub(crate) fn record_own(&self, own: &OwnFiles) -> Result<(), JobError> {
        let mut file = StagedFile::create(&self.own_path())?;
        file.write_json(own)?;
        file.commit()?;
        Ok(())
    }

    /// Returns which names the job of this folder gives its files; none where no job began.
    pub(crate) fn own_files(&self) -> Result<OwnFiles, JobError> {
        Ok(read_json(&self.own_path())?.unwrap_or_default())
    }

    fn own_path(&self) -> PathBuf {
        self.folder.join("files.json")
    }

    /// Returns all receipts.
    pub(crate) fn receipts(&self) -> Result<Vec<Receipt>, JobError> {
        let mut receipts = Vec::new();
        for stem in json_stems(&self.folder.join("done"))? {
            receipts.extend(self.receipt(&stem)?);
        }
        Ok(receipts)
    }

    /// Returns where a merge into the bin of this name keeps how far it is.
    pub(crate) fn merge_marker(&self, stem: &str) -> PathBuf {
        self.folder.join("merging").join(format!("{stem}.json"))
    }

    /// Returns the names of the merged bins that were begun.
    pub(crate) fn merging(&self) -> Result<Vec<String>, JobError> {
        json_stems(&self.folder.join("merging"))
    }

    /// Returns the receipt of a file that is done.
    pub(crate) fn receipt(&self, stem: &str) -> Result<Option<Receipt>, JobError> {
        read_json(&self.receipt_path(stem))
    }

    /// Records that a file is done.
    pub(crate) fn record(&self, stem: &str, receipt: &Receipt) -> Result<(), JobError> {
        let mut file = StagedFile::create(&self.receipt_path(stem))?;
        file.write_json(receipt)?;
        file.commit()?;
        Ok(())
    }

    /// Forgets that a file is done.
    pub(crate) fn forget(&self, stem: &str) -> Result<(), JobError> {
        Ok(remove_file_if_exists(&self.receipt_path(stem))?)
    }

    /// Forgets how far merges are: they start again.
    pub(crate) fn forget_merging(&self) -> Result<(), JobError> {
        Ok(remove_folder_if_exists(&self.folder.join("merging"))?)
    }

    /// Removes the job folder: its artifact is finished.
    pub(crate) fn clear(&self) -> Result<(), JobError> {
        Ok(remove_folder_if_exists(&self.folder)?)
    }
}

/// Removes what any tokenize job left: the manifest first, so that no half artifact has one.
///
/// # Errors
///
/// The system refuses, or a folder that files lie in is a link out of `out`.
pub(crate) fn remove_job(out: &Path, state: &JobState) -> Result<(), JobError> {
    let old = Manifest::read(out).ok();
    remove_file_if_exists(&out.join(MANIFEST_FILE))?;
    for record in old.iter().flat_map(Manifest::files) {
        record.remove(out)?;
    }
    for receipt in state.receipts()? {
        for record in receipt.shards.values().flat_map(|shard| [&shard.bin, &shard.idx]) {
            record.remove(out)?;
        }
    }
    let mut own = state.own_files()?;
    own.stems.extend(state.merging()?);
    own.remove(out)?;
    Ok(remove_folder_if_exists(state.folder())?)
}

/// Returns the names of the JSON files of a folder, without their ending; none where it is missing.
fn json_stems(folder: &Path) -> Result<Vec<String>, JobError> {
    let io = |source| ArtifactError::Io { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io)?,
    };
    let mut stems = Vec::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        stems.extend(name.strip_suffix(".json").map(str::to_owned));
    }
    stems.sort();
    Ok(stems)
}

/// Reads a JSON file of ours; none where it is missing or not whole.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, JobError> {
    match fs::read(path) {
        // A file that does not parse was not written by this version: it is made again.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ArtifactError::Io { path: path.to_owned(), source }.into()),
    }
}

/// Returns what the finished artifact of `out` was made from, in the form of `job.json`; the content
/// of the inputs is compared apart from it.
pub(crate) fn finished_job(manifest: &Manifest) -> Value {
    let config = match &manifest.recipe {
        Recipe::Tokenize(config) => serde_json::json!(config),
        other => serde_json::json!(other),
    };
    serde_json::json!({
        "config": config,
        "tokenizer": manifest.tokenizer.fingerprint,
        "bos": manifest.tokenizer.bos,
        "eos": manifest.tokenizer.eos,
        "inputs": manifest.sources.iter().map(|source| {
            serde_json::json!({"name": source.name})
        }).collect::<Vec<_>>(),
    })
}

/// Returns a job with the names of its inputs alone: older versions also wrote fingerprints.
fn with_names(mut job: Value) -> Value {
    for input in job["inputs"].as_array_mut().into_iter().flatten() {
        if let Some(input) = input.as_object_mut() {
            input.remove("fingerprint");
        }
    }
    job
}

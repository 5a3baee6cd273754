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
use std::path::{Path, PathBuf};

use ratdata_schemas::recipe::Recipe;
use ratdata_schemas::{
    Facts, JOB_FOLDER, Manifest, OtherJob, Receipts, ShardRecord, SourceRecord, Workspace,
    difference, read_json, remove_folder_if_exists, write_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::JobError;
use super::own_files::OwnFiles;

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
    /// Which files are done.
    done: Receipts,
    /// How far the merged files are.
    pub(crate) merging: Receipts,
}

impl JobState {
    pub(crate) fn of(out: &Path) -> Self {
        let (done, merging) = (Receipts::of(out), Receipts::called(out, "merging"));
        Self { folder: out.join(JOB_FOLDER), done, merging }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a job or continues the same one; another one that has nothing done makes room.
    ///
    /// # Errors
    ///
    /// The folder holds another job of which something is done.
    pub(crate) fn begin(&self, out: &Path, job: &Value) -> Result<(), JobError> {
        let path = self.job_path();
        if let Some(theirs) = read_json::<Value>(&path)? {
            // An export or import keeps its note here, too.
            let foreign = theirs.get("config").is_none();
            match difference(&with_names(theirs), job) {
                None => return Ok(()),
                Some(difference) if foreign || self.has_done()? => {
                    return Err(OtherJob { out: out.to_owned(), difference }.into());
                }
                // A command that failed before its first file was done, as by a mistyped option: what
                // it has begun is of no use to anybody.
                Some(_) => remove_begun(out, self)?,
            }
        }
        Ok(write_json(&path, job)?)
    }

    /// Returns whether any file is done, or absorbed into a merged one.
    fn has_done(&self) -> Result<bool, JobError> {
        Ok(!self.done.names()?.is_empty() || !self.merging.names()?.is_empty())
    }

    /// Records which names the job gives its files.
    pub(crate) fn record_own(&self, own: &OwnFiles) -> Result<(), JobError> {
        Ok(write_json(&self.own_path(), own)?)
    }

    /// Returns which names the job of this folder gives its files; none where no job began.
    pub(crate) fn own_files(&self) -> Result<OwnFiles, JobError> {
        Ok(read_json(&self.own_path())?.unwrap_or_default())
    }

    fn job_path(&self) -> PathBuf {
        self.folder.join("job.json")
    }

    fn own_path(&self) -> PathBuf {
        self.folder.join("files.json")
    }

    /// Returns all receipts.
    pub(crate) fn receipts(&self) -> Result<Vec<Receipt>, JobError> {
        let mut receipts = Vec::new();
        for stem in self.done.names()? {
            receipts.extend(self.receipt(&stem)?);
        }
        Ok(receipts)
    }

    /// Returns the receipt of a file that is done.
    pub(crate) fn receipt(&self, stem: &str) -> Result<Option<Receipt>, JobError> {
        Ok(self.done.read(stem)?)
    }

    /// Records that a file is done.
    pub(crate) fn record(&self, stem: &str, receipt: &Receipt) -> Result<(), JobError> {
        Ok(self.done.record(stem, receipt)?)
    }

    /// Returns where the receipt of a file is.
    pub(crate) fn receipt_path(&self, stem: &str) -> PathBuf {
        self.done.path(stem)
    }

    /// Returns where a job says what it is and which names it gives its files.
    pub(crate) fn begun_paths(&self) -> [PathBuf; 2] {
        [self.job_path(), self.own_path()]
    }

    /// Forgets that a file is done.
    pub(crate) fn forget(&self, stem: &str) -> Result<(), JobError> {
        Ok(self.done.forget(stem)?)
    }
}

/// Removes what any tokenize job left: the manifest first, so that no half artifact has one.
///
/// # Errors
///
/// The system refuses, or a folder that files lie in is a link out of `out`.
pub(crate) fn remove_job(workspace: &Workspace, state: &JobState) -> Result<(), JobError> {
    workspace.remove_artifact()?;
    remove_begun(workspace.out(), state)
}

/// Removes what a tokenize job that is not finished left.
fn remove_begun(out: &Path, state: &JobState) -> Result<(), JobError> {
    for receipt in state.receipts()? {
        for record in receipt.shards.values().flat_map(|shard| [&shard.bin, &shard.idx]) {
            record.remove(out)?;
        }
    }
    let mut own = state.own_files()?;
    own.stems.extend(state.merging.names()?);
    own.remove(out)?;
    Ok(remove_folder_if_exists(&state.folder)?)
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

//! Checkpoints: weights, the optimizer's state and the cursor, in a folder that is renamed whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::Module;
use ratdata_schemas::{Checksum, StagedFile, carry, sync_folder_of};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::data::{Cursor, DataConfig, Order};
use crate::experiment::Experiment;
use crate::model::{Model, ModelConfig};
use crate::optim::Optimizer;

/// The version of a checkpoint's record.
const FORMAT_VERSION: u32 = 2;

/// The weights in a checkpoint's folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";

const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const FOLDER: &str = "checkpoints";
const PREFIX: &str = "iteration-";

/// What a checkpoint stores in addition to weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRecord {
    /// The version of this record.
    pub format_version: u32,
    /// Iterations done.
    pub iteration: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Where the run is in its data.
    pub cursor: Cursor,
    /// Seconds of training so far.
    pub seconds: f64,
    /// What each source was, by its name.
    pub data: BTreeMap<String, Checksum>,
    /// The experiment as it was run.
    pub experiment: Experiment,
}

impl CheckpointRecord {
    /// The record's file in a checkpoint's folder.
    pub const FILE: &str = "checkpoint.json";

    /// Makes a record of the present version.
    pub fn new(experiment: Experiment, data: BTreeMap<String, Checksum>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            iteration: 0,
            tokens: 0,
            cursor: Cursor::default(),
            seconds: 0.0,
            data,
            experiment,
        }
    }

    /// Reads the record of a checkpoint.
    ///
    /// # Errors
    /// Returns [`TrainError::Io`] or [`TrainError::Record`] where there is none.
    pub fn read(checkpoint: &Path) -> Result<Self, TrainError> {
        let path = checkpoint.join(CheckpointRecord::FILE);
        let text = fs::read(&path).map_err(TrainError::io(&path))?;
        let refuse = |reason: String| TrainError::Record { path: path.clone(), reason };
        let record: Self =
            serde_json::from_slice(&text).map_err(|wrong| refuse(wrong.to_string()))?;
        if record.format_version != FORMAT_VERSION {
            let found = record.format_version;
            return Err(refuse(format!("version {found}, expected {FORMAT_VERSION}")));
        }
        Ok(record)
    }

    /// Refuses to resume with another model, with other data, or with the data in another order.
    ///
    /// A new source is not checked, and neither is one that the experiment no longer has.
    ///
    /// # Errors
    /// Returns [`TrainError::OtherModel`], [`TrainError::OtherData`] or
    /// [`TrainError::OtherOrder`].
    pub fn check(
        &self,
        checkpoint: &Path,
        experiment: &Experiment,
        data: &BTreeMap<String, Checksum>,
    ) -> Result<(), TrainError> {
        let path = checkpoint.to_owned();
        let model = &experiment.model;
        if let Some((key, found, expected)) = difference(&self.experiment.model, model) {
            return Err(TrainError::OtherModel { path, key, found, expected });
        }
        for (name, checksum) in data {
            if self.data.get(name).is_some_and(|recorded| recorded != checksum) {
                return Err(TrainError::OtherData { path, name: name.clone() });
            }
        }
        if let Some((key, found, expected)) = reordered(&self.experiment.data, &experiment.data) {
            return Err(TrainError::OtherOrder { path, key, found, expected });
        }
        Ok(())
    }
}

/// Returns the first key that gives a draw another row, with both values.
///
/// A cursor counts draws. If they meant other rows, some rows would be read twice and some never.
fn reordered(found: &DataConfig, expected: &DataConfig) -> Option<(String, String, String)> {
    let ordered = expected.order == Order::Ordered;
    let keys = [
        ("order", true),
        ("seed", !ordered || expected.sources.len() > 1),
        ("shares", ordered),
        ("dtype", true),
    ];
    let keys = keys.iter().filter(|(_, counts)| *counts).map(|(key, _)| *key);
    first_difference(found, expected, keys)
}

/// Returns the first key that two models differ in, with both values.
fn difference(found: &ModelConfig, expected: &ModelConfig) -> Option<(String, String, String)> {
    let keys = serde_json::to_value(found).unwrap_or_default();
    let keys = keys.as_object()?.keys().map(String::as_str).collect::<Vec<_>>();
    first_difference(found, expected, keys)
}

fn first_difference<'a, T: Serialize>(
    found: &T,
    expected: &T,
    keys: impl IntoIterator<Item = &'a str>,
) -> Option<(String, String, String)> {
    let json = |config| serde_json::to_value(config).unwrap_or_default();
    let (found, expected) = (json(found), json(expected));
    let mut keys = keys.into_iter();
    let key = keys.find(|key| found[*key] != expected[*key])?;
    Some((key.to_owned(), found[key].to_string(), expected[key].to_string()))
}

/// Writes a checkpoint of a run and removes all but the newest `keep`.
///
/// The folder gets its name when everything in it is on disk. Where it is there already, as when a
/// run is stopped right after it kept one, it stays as it is.
///
/// # Errors
/// Returns [`TrainError`] where the system refuses.
pub(crate) fn save(
    out: &Path,
    model: &Model,
    optimizer: &Optimizer,
    record: &CheckpointRecord,
    keep: usize,
) -> Result<PathBuf, TrainError> {
    let folder = out.join(FOLDER);
    let path = folder.join(format!("{PREFIX}{:09}", record.iteration));
    if path.is_dir() {
        return Ok(path);
    }
    let staging = folder.join(format!("{PREFIX}{:09}.{}", record.iteration, StagedFile::ENDING));
    remove(&staging)?;
    if let Err(wrong) = stage(&staging, model, optimizer, record) {
        // On a full disk its space is what the next attempt needs.
        remove(&staging).ok();
        return Err(wrong);
    }
    fs::rename(&staging, &path).map_err(TrainError::io(&path))?;
    sync_folder_of(&path)?;
    for old in list(out)?.iter().rev().skip(keep.max(1)) {
        remove(old)?;
    }
    Ok(path)
}

/// Writes all files of a checkpoint and makes them durable.
fn stage(
    staging: &Path,
    model: &Model,
    optimizer: &Optimizer,
    record: &CheckpointRecord,
) -> Result<(), TrainError> {
    fs::create_dir_all(staging).map_err(TrainError::io(staging))?;
    model.valid().save_safetensors(&staging.join(WEIGHTS_FILE))?;
    optimizer.save(&staging.join(OPTIMIZER_FILE), model)?;
    let mut file = StagedFile::create(&staging.join(CheckpointRecord::FILE))?;
    file.write_json(record)?;
    file.commit()?;
    for name in [WEIGHTS_FILE, OPTIMIZER_FILE] {
        let path = staging.join(name);
        File::open(&path).and_then(|file| file.sync_all()).map_err(TrainError::io(&path))?;
    }
    Ok(())
}

/// Removes checkpoints that a killed run has left unfinished; the run's folder has to be locked.
///
/// # Errors
/// Returns [`TrainError::Io`] where the system refuses.
pub(crate) fn clear_staging(out: &Path) -> Result<(), TrainError> {
    let folder = out.join(FOLDER);
    let unfinished = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| {
            name.starts_with(PREFIX) && name.ends_with(&format!(".{}", StagedFile::ENDING))
        })
    };
    for path in entries(&folder)?.into_iter().filter(unfinished) {
        remove(&path)?;
    }
    Ok(())
}

/// Copies a checkpoint's weights into the run's folder, by a rename.
///
/// # Errors
/// Returns [`TrainError::Artifact`] where the system refuses.
pub(crate) fn export(checkpoint: &Path, out: &Path) -> Result<(), TrainError> {
    let (from, to) = (checkpoint.join(WEIGHTS_FILE), out.join(WEIGHTS_FILE));
    // A second name would let an edit of the one change the other.
    carry(&from, &to, false)?;
    Ok(())
}

/// Reads weights and the optimizer's state of a checkpoint.
///
/// # Errors
/// Returns [`TrainError`] where a file is missing or of another model.
pub(crate) fn load(
    checkpoint: &Path,
    mut model: Model,
    optimizer: Optimizer,
) -> Result<(Model, Optimizer), TrainError> {
    model.load_safetensors(&checkpoint.join(WEIGHTS_FILE))?;
    let optimizer = optimizer.load(&checkpoint.join(OPTIMIZER_FILE), &model)?;
    Ok((model, optimizer))
}

/// Returns the newest checkpoint of a run.
///
/// # Errors
/// Returns [`TrainError::Io`] where the folder cannot be read.
pub(crate) fn newest(out: &Path) -> Result<Option<PathBuf>, TrainError> {
    Ok(list(out)?.pop())
}

/// Lists the checkpoints of a run, oldest first.
fn list(out: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut found = Vec::new();
    for path in entries(&out.join(FOLDER))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Lists what lies in a folder; nothing where it is missing.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(TrainError::io(folder))?;
    entries.map(|entry| Ok(entry.map_err(TrainError::io(folder))?.path())).collect()
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    if folder.is_dir() {
        fs::remove_dir_all(folder).map_err(TrainError::io(folder))?;
    }
    Ok(())
}

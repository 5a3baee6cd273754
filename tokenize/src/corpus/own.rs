//! The files that a job makes in its folder: it removes these, and nothing else that lies there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ratdata_schemas::manifest::MANIFEST_FILE;
use ratdata_schemas::{ArtifactError, Manifest, RelativePath, StagedFile};
use serde::{Deserialize, Serialize};

use super::config::JobConfig;
use super::error::JobError;
use super::state::{JobState, remove_folder};
use crate::source::{InputKind, SourceFile};

/// The folder of shards within an artifact.
pub(crate) const SHARDS: &str = "shards";

/// The names that a job gives its files, without their endings and relative to its folder.
///
/// They are written down before the first file is made, so that a later run of another
/// configuration knows what a killed one has left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnFiles {
    pub(crate) stems: Vec<String>,
}

impl OwnFiles {
    /// Returns the names of the shards that a job makes.
    pub(crate) fn of(config: &JobConfig, files: &[SourceFile]) -> Self {
        let of_file = |file: &SourceFile| {
            ["train", "val"].map(|split| format!("{SHARDS}/{}-{split}-{}", config.name, file.stem))
        };
        Self { stems: files.iter().flat_map(of_file).collect() }
    }

    /// Removes the files of these names, whole or partial, and the folder of shards where nothing
    /// else lies in it.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remove(&self, out: &Path) -> Result<(), JobError> {
        // The names are read back from a folder that may be anybody's.
        for stem in self.stems.iter().filter(|stem| RelativePath::new(stem).is_ok()) {
            for ending in ["bin", "idx"] {
                let name = format!("{stem}.{ending}");
                gone(&out.join(format!("{name}.{}", StagedFile::ENDING)))?;
                gone(&out.join(name))?;
            }
        }
        remove_if_empty(&out.join(SHARDS))
    }
}

/// Removes what any tokenize job left: the manifest first, so that no half artifact has one.
///
/// # Errors
///
/// The system refuses, or a folder that files lie in is a link out of `out`.
pub(crate) fn remove_job(out: &Path, state: &JobState) -> Result<(), JobError> {
    let old = Manifest::read(out).ok();
    gone(&out.join(MANIFEST_FILE))?;
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
    remove_folder(state.folder())
}

/// Returns the first input that lies where the job's shards will.
pub(crate) fn input_inside(out: &Path, files: &[SourceFile]) -> Option<PathBuf> {
    let shards = out.join(SHARDS).canonicalize().ok()?;
    let paths = files.iter().flat_map(|file| match &file.kind {
        InputKind::Texts(paths) => paths.iter().collect(),
        _ => vec![&file.path],
    });
    let inside = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| path.starts_with(&shards));
    paths.into_iter().find(inside).cloned()
}

/// Removes a file where it is there.
pub(crate) fn gone(path: &Path) -> Result<(), JobError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ArtifactError::Io { path: path.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}

fn remove_if_empty(folder: &Path) -> Result<(), JobError> {
    match fs::remove_dir(folder) {
        Err(source)
            if !matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(ArtifactError::Io { path: folder.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}

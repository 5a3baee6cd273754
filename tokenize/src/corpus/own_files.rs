//! The files that a job makes in its folder: it removes these, and nothing else that lies there.

use std::path::{Path, PathBuf};

use ratdata_schemas::{
    ArtifactError, RelativePath, StagedFile, remove_file_if_exists, remove_folder_if_empty,
};
use serde::{Deserialize, Serialize};

use crate::source::{InputKind, SourceFile};
use ratdata_schemas::recipe::Tokenize;

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
    pub(crate) fn of(config: &Tokenize, files: &[SourceFile]) -> Self {
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
    pub(crate) fn remove(&self, out: &Path) -> Result<(), ArtifactError> {
        // The names are read back from a folder that may be anybody's.
        for stem in self.stems.iter().filter(|stem| RelativePath::new(stem).is_ok()) {
            for ending in ["bin", "idx"] {
                let name = format!("{stem}.{ending}");
                remove_file_if_exists(&out.join(format!("{name}.{}", StagedFile::ENDING)))?;
                remove_file_if_exists(&out.join(name))?;
            }
        }
        remove_folder_if_empty(&out.join(SHARDS))
    }
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

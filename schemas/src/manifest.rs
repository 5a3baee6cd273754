//! The manifest: what an artifact folder holds, and how it was made.
//!
//! `manifest.json` is written last and names every other file with its size and checksum. It holds
//! no clock, no host name and no thread count: the same inputs and config give the same bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::artifact::StagedFile;
use crate::artifact_error::ArtifactError;
use crate::file_record::FileRecord;
use crate::manifest_check::{check, check_names, wrong_part};
use crate::plain_name::PlainName;
use crate::recipe::{Recipe, recipe_of_format_1};
use crate::records::{BaseRecord, SourceRecord, SplitRecord, TokenizerRecord};
use crate::regular::read_regular;
use crate::token::Dtype;

/// The name of the manifest in an artifact folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The format version that this program writes; it also reads format 1.
pub const FORMAT_VERSION: u32 = 2;

/// The first format, whose `config` does not name the step that made the artifact.
const FORMAT_1: u32 = 1;

/// What an artifact folder holds, and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this layout; readers refuse one they do not know.
    pub format_version: u32,
    /// The name that the files begin with, such as `llama`.
    pub name: PlainName,
    /// The width of the token ids (pairs store them as `i16` all the same).
    pub dtype: Dtype,
    /// The tokenizer that made the ids.
    pub tokenizer: TokenizerRecord,
    /// The parts of the artifact by name: `train`, `val`, `test`.
    pub splits: BTreeMap<PlainName, SplitRecord>,
    /// The files that the documents came from, in the order of reading.
    pub sources: Vec<SourceRecord>,
    /// The artifact that a pack indexes, or that rows were cut from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRecord>,
    /// The step that made the artifact, with its settings.
    pub recipe: Recipe,
}

/// Why a manifest was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is no manifest, or it cannot be read.
    #[error("{}: cannot read the manifest: {source}", .path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not a manifest.
    #[error("{}: not a manifest: {source}", .path.display())]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{}: format version {found}, this program reads {FORMAT_1} and {FORMAT_VERSION}", .path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version it has.
        found: u64,
    },
    /// A name, a path or a number cannot be what it is said to be.
    #[error("{}: not a manifest: {what}", .path.display())]
    Value {
        /// The manifest.
        path: PathBuf,
        /// Its key, what was found there, and what was expected.
        what: String,
    },
    /// It names no split, so there is nothing to read.
    #[error("{}: the artifact is empty: `splits` names none", .path.display())]
    Empty {
        /// The manifest.
        path: PathBuf,
    },
}

impl ManifestError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "an artifact is the folder that holds `manifest.json`; a run that was interrupted has none yet",
            ),
            Self::Version { .. } => Some("it was written by another version of ratdata"),
            Self::Value { .. } => {
                Some("it was edited, or written by another program; make the artifact again")
            }
            Self::Empty { .. } => Some("make the artifact again, of an input that has documents"),
            Self::Io { .. } | Self::Parse { .. } => None,
        }
    }
}

impl Manifest {
    /// Reads the manifest of the artifact folder `root`.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not a manifest, or is of another format version.
    pub fn read(root: &Path) -> Result<Self, ManifestError> {
        let path = root.join(MANIFEST_FILE);
        let text = read_regular(&path)
            .map_err(|source| ManifestError::Io { path: path.clone(), source })?;
        Self::parse(&path, &text)
    }

    /// Reads a manifest from its bytes; `path` is for messages alone.
    ///
    /// What it says holds together afterwards: names and paths stay in the folder, ids are in the
    /// vocabulary, rows have a length that memory holds, and counts add up.
    ///
    /// # Errors
    ///
    /// It is not a manifest, is of another format version, or names no split.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ManifestError> {
        let parse = |source| ManifestError::Parse { path: path.to_owned(), source };
        let mut value: Value = serde_json::from_slice(text).map_err(parse)?;
        let version = value.get("format_version").and_then(Value::as_u64);
        let is_old = version == Some(u64::from(FORMAT_1));
        if let Some(found) = version.filter(|&found| !is_old && found != u64::from(FORMAT_VERSION))
        {
            return Err(ManifestError::Version { path: path.to_owned(), found });
        }
        let wrong = |what| ManifestError::Value { path: path.to_owned(), what };
        // The types refuse these names, too, and cannot tell under which key they stand.
        check_names(&value).map_err(wrong)?;
        if is_old {
            from_format_1(&mut value).map_err(wrong)?;
        }
        let manifest = Self::deserialize(&value).map_err(|source| match wrong_part(&value) {
            Some(key) => wrong(format!("`{key}`: {source}")),
            None => parse(source),
        })?;
        if manifest.splits.is_empty() {
            return Err(ManifestError::Empty { path: path.to_owned() });
        }
        check(manifest.dtype, &manifest.tokenizer, &manifest.splits, &manifest.sources)
            .map_err(wrong)?;
        Ok(manifest)
    }

    /// Writes the manifest into the artifact folder `root`: the one act that makes it an artifact.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), ArtifactError> {
        let mut file = StagedFile::create(&root.join(MANIFEST_FILE))?;
        file.write_json(self)?;
        drop(file.commit()?);
        Ok(())
    }

    /// Returns how many bytes of text its tokens stand for; none where that is not recorded, because
    /// another tool made the ids, or documents of the sources were left out or come twice.
    pub fn text_bytes(&self) -> Option<u64> {
        let bytes = self.sources.iter().map(|source| source.text_bytes);
        let bytes = bytes.fold(0, u64::saturating_add);
        (bytes > 0 && self.recipe.takes_all()).then_some(bytes)
    }

    /// Returns every file that the manifest names.
    pub fn files(&self) -> Vec<&FileRecord> {
        self.splits.values().flat_map(SplitRecord::files).collect()
    }
}

/// Gives a manifest of format 1 the form of today's.
fn from_format_1(manifest: &mut Value) -> Result<(), String> {
    let Some(fields) = manifest.as_object_mut() else { return Ok(()) };
    let config = fields.remove("config").unwrap_or_default();
    let recipe = recipe_of_format_1(&config)?;
    let recipe = serde_json::to_value(recipe).map_err(|wrong| wrong.to_string())?;
    fields.insert("recipe".into(), recipe);
    fields.insert("format_version".into(), FORMAT_VERSION.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_version_is_refused_before_anything_else() {
        let refused =
            Manifest::parse(Path::new("m.json"), br#"{"format_version": 7}"#).unwrap_err();

        assert!(matches!(refused, ManifestError::Version { found: 7, .. }), "{refused}");
    }
}

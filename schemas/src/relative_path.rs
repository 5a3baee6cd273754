//! Paths within a folder, checked once where they are read.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::plain_name::shown;

/// A path below some folder: names with `/` between them, none of them `.` or `..`.
///
/// Each file has exactly one such path: two different paths are two different files, apart from links.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// Why a text is not a path below a folder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found the path `{}`, {reason}", shown(.found))]
pub struct PathError {
    found: String,
    reason: &'static str,
}

impl RelativePath {
    /// The longest path in bytes, as in Linux.
    pub const MOST_BYTES: usize = 4095;

    /// Checks a path.
    ///
    /// # Errors
    ///
    /// It is empty or absolute, leads up, or has a shorter form.
    pub fn new(path: &str) -> Result<Self, PathError> {
        let wrong = |reason| Err(PathError { found: path.to_owned(), reason });
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return wrong("which is not inside the artifact");
        }
        if path.split('/').any(|part| part.is_empty() || part == ".") || path.contains('\0') {
            return wrong("expected names with `/` between them");
        }
        if path.len() > Self::MOST_BYTES {
            return wrong("which is longer than 4095 bytes");
        }
        Ok(Self(path.to_owned()))
    }

    /// Converts a path of the system.
    ///
    /// # Errors
    ///
    /// As of [`RelativePath::new`]; or it is not UTF-8, so no manifest can contain it.
    pub fn of(path: &Path) -> Result<Self, PathError> {
        let found = || path.to_string_lossy().into_owned();
        let text = path
            .to_str()
            .ok_or_else(|| PathError { found: found(), reason: "which is not UTF-8" })?;
        Self::new(text)
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns where the path leads below a folder.
    pub fn below(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RelativePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = PathError;

    fn try_from(path: String) -> Result<Self, PathError> {
        Self::new(&path)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

impl JsonSchema for RelativePath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RelativePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": Self::MOST_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        for path in ["x.bin", "shards/llama-train-a b.bin", "a/..b", "größe/x"] {
            assert_eq!(RelativePath::new(path).unwrap().as_str(), path);
        }
        let long = "x/".repeat(3000) + "x";
        for path in [
            "",
            "/",
            "..",
            ".",
            "../x.bin",
            "/etc/passwd",
            "a/../../b",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            &long,
        ] {
            assert!(RelativePath::new(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_utf8_is_refused_and_not_changed() {
        let path = Path::new(OsStr::from_bytes(b"a/x\xff.bin"));

        let wrong = RelativePath::of(path).unwrap_err();

        assert!(wrong.to_string().ends_with("which is not UTF-8"), "{wrong}");
    }
}

//! Names that files and folders may have, checked once where they are read.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of an artifact or of a split: it is the name of a folder, or begins the name of a file.
///
/// It is one component of a path, valid on every system, and leads to no other folder: letters, digits
/// and `._-+`, with a letter, a digit or `_` first. Manifests come from anywhere, and their names become
/// paths. So a manifest with another name is refused when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlainName(String);

/// Why a text is not a plain name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found the name `{}`{reason}, expected {}", shown(.found), PlainName::EXPECTED)]
pub struct NameError {
    found: String,
    reason: &'static str,
}

impl PlainName {
    /// The characters of a name, in words.
    pub const EXPECTED: &'static str =
        "letters, digits and `._-+` with a letter, a digit or `_` first";

    /// The longest name in bytes: most file systems allow 255, and a stem and an ending follow.
    pub const MOST_BYTES: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// It is not a plain name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let wrong = |reason| Err(NameError { found: name.to_owned(), reason });
        let first =
            name.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_');
        if !first || !name.chars().all(is_plain) {
            return wrong("");
        }
        if name.len() > Self::MOST_BYTES {
            return wrong(" of more than 128 bytes");
        }
        if is_device(name) {
            return wrong(", which some systems keep for a device");
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the plain name nearest to a text, such as the name of a tokenizer's folder.
    pub fn near(called: &str) -> Self {
        let name: String =
            called.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
        let name = name.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        let name = &name[..name.floor_char_boundary(Self::MOST_BYTES - 1)];
        match name {
            "" => Self("tokens".into()),
            name if is_device(name) => Self(format!("_{name}")),
            name => Self(name.to_owned()),
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() || "._-+".contains(letter)
}

/// Returns whether a name, with any ending, is a Windows device.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let numbered = |device: &str| {
        let number = stem.strip_prefix(device).unwrap_or_default();
        matches!(number.as_bytes(), [b'1'..=b'9'])
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// Returns an untrusted text for a message: short, and without characters that steer a terminal.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PlainName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map with names as keys be searched with a text.
impl Borrow<str> for PlainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlainName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl TryFrom<String> for PlainName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(&name)
    }
}

impl From<PlainName> for String {
    fn from(name: PlainName) -> Self {
        name.0
    }
}

impl PartialEq<str> for PlainName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for PlainName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl JsonSchema for PlainName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PlainName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": Self::MOST_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_part_of_a_path() {
        for name in ["llama", "v1.2_x-y+z", "Größe", "7b", "_x", "console", "com0", "train"] {
            assert_eq!(PlainName::new(name).unwrap().as_str(), name);
        }
        let long = "x".repeat(129);
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../evil",
            "/abs",
            ".hidden",
            "-x",
            "+x",
            "a\\b",
            "C:x",
            "a\0",
            "a b",
            "a\n",
            "a\u{1b}[31m",
            "a\u{202e}b",
            "CON",
            "nul.txt",
            "Lpt1",
            "aux",
            &long,
        ] {
            let wrong = PlainName::new(name).unwrap_err().to_string();

            assert!(wrong.contains("expected letters"), "{name:?}: {wrong}");
            assert!(!wrong.contains(char::is_control), "{name:?}: {wrong:?}");
        }
    }

    #[test]
    fn whatever_something_is_called_there_is_a_name_near() {
        let long = "ö".repeat(200);
        for (called, name) in [
            ("llama", "llama"),
            ("my tokenizer", "my-tokenizer"),
            ("..", "tokens"),
            ("../../x", "x"),
            ("", "tokens"),
            ("NUL", "_NUL"),
        ] {
            assert_eq!(PlainName::near(called), name, "{called}");
        }
        for called in ["llama", "..", "nul.x", &long, "a\0b", "-+-"] {
            let near = PlainName::near(called);
            assert_eq!(PlainName::new(near.as_str()), Ok(near), "{called}");
        }
    }

    #[test]
    fn a_wrong_name_is_refused_where_it_is_read() {
        let read = |text: &str| serde_json::from_str::<PlainName>(text);

        assert_eq!(read("\"llama\"").unwrap(), "llama");
        assert!(read("\"../x\"").unwrap_err().to_string().contains("found the name `../x`"));
        let map = serde_json::from_str::<std::collections::BTreeMap<PlainName, u32>>("{\"/x\": 1}");
        assert!(map.unwrap_err().to_string().contains("found the name `/x`"));
    }
}

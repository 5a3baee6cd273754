//! Where a key of a pipeline was written: the file, among those that extend each other, and the line.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::layered::EXTENDS;
use ratdata_schemas::{TomlPlace, TomlText};

use super::embedded::embedded;

/// Finds where the table or value under `keys` was written, in `path` or in what it extends; a
/// missing key is told at the line of its table.
pub(crate) fn place_of(path: &Path, keys: &[&str]) -> TomlPlace {
    TomlPlace::near(&layers(path), keys).unwrap_or_else(|| TomlPlace::whole(path))
}

/// Returns the files that a configuration is made of, the topmost first, with their text.
pub(crate) fn layers(path: &Path) -> Vec<TomlText> {
    let mut found = Vec::new();
    let mut at = path.to_owned();
    // Files that extend each other in a circle were refused before anybody asks for a place.
    for _ in 0..32 {
        // The topmost is a file where there is one; what is extended is compiled in where it can be.
        let text = match embedded(&at.to_string_lossy()) {
            Some(text) if !found.is_empty() || !at.is_file() => text.to_owned(),
            _ => match fs::read_to_string(&at) {
                Ok(text) => text,
                Err(_) => break,
            },
        };
        let below = text.parse::<toml::Table>().ok();
        let below =
            below.as_ref().and_then(|table| table.get(EXTENDS)?.as_str().map(str::to_owned));
        found.push(TomlText { path: at.clone(), text });
        match below {
            Some(below) if embedded(&below).is_some() => at = PathBuf::from(below),
            Some(below) => at = at.parent().unwrap_or(Path::new("")).join(below),
            None => break,
        }
    }
    found
}

//! Where a key was written: the file, among those that extend each other, and the line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::layered::EXTENDS;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::embedded;

/// A place in a file: the path and, where it is known, the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl Place {
    /// Finds where the table or value under `keys` was written, in `path` or in what it extends.
    ///
    /// Keys are dropped from the end until something is found, so that a missing key is told at
    /// the line of its table.
    pub(crate) fn of(path: &Path, keys: &[&str]) -> Self {
        let files = layers(path);
        for len in (1..=keys.len()).rev() {
            for (path, text) in &files {
                if let Some(line) = line_of(text, &keys[..len]) {
                    return Self { path: path.clone(), line: Some(line) };
                }
            }
        }
        Self { path: path.to_owned(), line: None }
    }
}

/// Returns the files that a configuration is made of, the topmost first, with their text.
pub(crate) fn layers(path: &Path) -> Vec<(PathBuf, String)> {
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
        found.push((at.clone(), text));
        match below {
            Some(below) if embedded(&below).is_some() => at = PathBuf::from(below),
            Some(below) => at = at.parent().unwrap_or(Path::new("")).join(below),
            None => break,
        }
    }
    found
}

fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (last, above) = keys.split_last()?;
    let mut table = document.get_ref();
    for key in above {
        let DeValue::Table(inner) = entry(table, key)?.1.get_ref() else { return None };
        table = inner;
    }
    let (key, _) = entry(table, last)?;
    Some(text.get(..key.span().start)?.matches('\n').count() + 1)
}

fn entry<'a, 'i>(
    table: &'a DeTable<'i>,
    wanted: &str,
) -> Option<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        let text = "a.b = 1\n[steps.x]\nkind = 'c'\n[steps]\ny = { kind = 'd',\n  z = 1 }\n";

        let line = |keys: &[&str]| line_of(text, keys);

        assert_eq!(line(&["a", "b"]), Some(1));
        assert_eq!(line(&["steps", "x"]), Some(2));
        assert_eq!(line(&["steps", "x", "kind"]), Some(3));
        assert_eq!(line(&["steps", "y", "z"]), Some(6));
        assert_eq!(line(&["steps", "z"]), None);
    }
}

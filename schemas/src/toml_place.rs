//! The file and line of a key in TOML, for error messages.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a file: the path and, if it is known, the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlPlace {
    /// The file, or the name of one that is compiled in.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: Option<usize>,
}

/// A TOML file with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlText {
    /// The file, or the name of one that is compiled in.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

impl fmt::Display for TomlPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl TomlPlace {
    /// Returns the place that means the whole file.
    pub fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None }
    }

    /// Finds the place of the key `keys`, in the first file that has it; none if no file has it, such
    /// as a key from the command line.
    ///
    /// A number among the keys is an index of an array.
    pub fn of_key(files: &[TomlText], keys: &[&str]) -> Option<Self> {
        files.iter().find_map(|file| {
            let line = Some(line_of(&file.text, keys)?);
            Some(Self { path: file.path.clone(), line })
        })
    }

    /// Finds the place of the key `keys`, or of the nearest table above it, so that an error about a
    /// missing key names the line of its table.
    pub fn near(files: &[TomlText], keys: &[&str]) -> Option<Self> {
        (1..=keys.len()).rev().find_map(|len| Self::of_key(files, &keys[..len]))
    }
}

/// Returns the line of a key in a text.
fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (first, rest) = keys.split_first()?;
    let (key, value) = entry(document.get_ref(), first)?;
    let (mut start, mut value) = (key.span().start, value);
    for key in rest {
        (start, value) = match value.get_ref() {
            DeValue::Table(table) => {
                let (key, value) = entry(table, key)?;
                (key.span().start, value)
            }
            DeValue::Array(values) => {
                let value = values.get(key.parse::<usize>().ok()?)?;
                (value.span().start, value)
            }
            _ => return None,
        };
    }
    Some(text.get(..start)?.matches('\n').count() + 1)
}

fn entry<'a, 'i>(
    table: &'a DeTable<'i>,
    wanted: &str,
) -> Option<(&'a Spanned<Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        let text = "a.b = 1\n[steps.x]\nkind = 'c'\n[steps]\ny = { kind = 'd',\n  z = 1 }\n\
                    [[list]]\nm = 1\n[[list]]\nm = 2\n";

        let line = |keys: &[&str]| line_of(text, keys);

        assert_eq!(line(&["a", "b"]), Some(1));
        assert_eq!(line(&["steps", "x"]), Some(2));
        assert_eq!(line(&["steps", "x", "kind"]), Some(3));
        assert_eq!(line(&["steps", "y", "z"]), Some(6));
        assert_eq!(line(&["list", "1", "m"]), Some(10));
        assert_eq!(line(&["steps", "z"]), None);
    }

    #[test]
    fn a_key_is_told_where_it_counts_and_a_missing_one_at_its_table() {
        let file = |path: &str, text: &str| TomlText { path: path.into(), text: text.into() };
        let files = [file("top", "[m]\na = 1\n"), file("base", "[m]\n\na = 0\nb = 2\n")];
        let place = |path: &str, line| Some(TomlPlace { path: path.into(), line: Some(line) });

        assert_eq!(TomlPlace::of_key(&files, &["m", "a"]), place("top", 2));
        assert_eq!(TomlPlace::of_key(&files, &["m", "b"]), place("base", 4));
        assert_eq!(TomlPlace::of_key(&files, &["m", "c"]), None);
        assert_eq!(TomlPlace::near(&files, &["m", "c"]), place("top", 1));
        assert_eq!(TomlPlace::near(&files, &["n"]), None);
    }
}

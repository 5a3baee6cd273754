//! Layered configuration: TOML files that extend others, and values set from the command line.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::{Table, Value};

use crate::regular::read_regular;
use crate::toml_place::{TomlPlace, TomlText};

/// The key that names the file that a file extends.
pub const EXTENDS: &str = "extends";

/// Why a configuration could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The operating system refused the file.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not TOML.
    #[error("{}: {source}", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// `extends` is not a path.
    #[error("{place}: `extends` is {found}, expected the path of a TOML file")]
    Extends {
        /// Where it is written.
        place: TomlPlace,
        /// What it is instead.
        found: &'static str,
    },
    /// The file that `extends` names cannot be read.
    #[error("{place}: `extends` names {}, which cannot be read: {source}", .path.display())]
    Below {
        /// Where it is named.
        place: TomlPlace,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file extends itself, by way of others.
    #[error("{}: extends itself: {}", .chain[0].display(), shown(.chain))]
    Cycle {
        /// The files, from the first to its second mention.
        chain: Vec<PathBuf>,
    },
    /// `--set` has no equals sign.
    #[error("`{text}`: found no `=`, expected `key=value`")]
    NoEquals {
        /// What was given.
        text: String,
    },
    /// `--set` has an empty name among its keys.
    #[error("`{key}`: found an empty name, expected `name` or `table.name`")]
    Key {
        /// The key as given.
        key: String,
    },
}

fn shown(chain: &[PathBuf]) -> String {
    chain.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" -> ")
}

/// A configuration: all its layers as one table, and the text of each layer.
#[derive(Clone, Debug)]
pub struct Layered {
    /// The merged layers; the nearest file has priority.
    pub table: Table,
    /// The requested file, then the file that it extends, and so on.
    pub files: Vec<TomlText>,
}

impl Layered {
    /// Reads the file at `path` and all files that it extends.
    ///
    /// A path in `extends` is relative to its file. `embedded` is asked first, so that a file can
    /// extend one that is compiled in by its name.
    ///
    /// # Errors
    ///
    /// A file cannot be read, is not TOML, or extends itself.
    pub fn read(
        path: &Path,
        embedded: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, LayerError> {
        let text =
            read_text(path).map_err(|source| LayerError::Io { path: path.to_owned(), source })?;
        Self::of(TomlText { path: path.to_owned(), text }, embedded)
    }

    /// Reads a configuration that is compiled in, and all files that it extends.
    ///
    /// # Errors
    ///
    /// As [`Layered::read`].
    pub fn read_embedded(
        name: &str,
        text: &str,
        embedded: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, LayerError> {
        Self::of(TomlText { path: name.into(), text: text.to_owned() }, embedded)
    }

    fn of(
        top: TomlText,
        embedded: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, LayerError> {
        let mut layers = Self { table: Table::new(), files: vec![top] };
        let mut tables = Vec::new();
        while let Some(at) = layers.files.get(tables.len()) {
            let path = at.path.clone();
            let mut table: Table = at.text.parse().map_err(|source| LayerError::Toml {
                path: path.clone(),
                source: Box::new(source),
            })?;
            let below = match table.remove(EXTENDS) {
                None => None,
                Some(Value::String(below)) => Some(below),
                Some(other) => {
                    let (place, found) = (place_in(at), other.type_str());
                    return Err(LayerError::Extends { place, found });
                }
            };
            tables.push(table);
            if let Some(below) = below {
                layers.push(&below, embedded)?;
            }
        }
        for table in tables.into_iter().rev() {
            overlay(&mut layers.table, table);
        }
        Ok(layers)
    }

    /// Adds the file that the last one extends.
    fn push(
        &mut self,
        below: &str,
        embedded: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Result<(), LayerError> {
        let Some(above) = self.files.last() else { return Ok(()) };
        let (path, text) = if let Some(text) = embedded(below) {
            (PathBuf::from(below), text.to_owned())
        } else {
            let path = above.path.parent().unwrap_or(Path::new("")).join(below);
            let text = read_text(&path).map_err(|source| LayerError::Below {
                place: place_in(above),
                path: path.clone(),
                source,
            })?;
            (path, text)
        };
        let seen = self.files.iter().any(|file| file.path == path);
        self.files.push(TomlText { path, text });
        if seen {
            let chain = self.files.iter().map(|file| file.path.clone()).collect();
            return Err(LayerError::Cycle { chain });
        }
        Ok(())
    }

    /// Finds where the key `keys`, or else the nearest table above it, was written.
    pub fn place(&self, keys: &[&str]) -> TomlPlace {
        let top =
            || TomlPlace::whole(self.files.first().map_or(Path::new(""), |top| top.path.as_path()));
        TomlPlace::near(&self.files, keys).unwrap_or_else(top)
    }
}

/// Finds where a file says what it extends.
fn place_in(file: &TomlText) -> TomlPlace {
    TomlPlace::of_key(std::slice::from_ref(file), &[EXTENDS])
        .unwrap_or_else(|| TomlPlace::whole(&file.path))
}

/// Reads a regular file: a device may have no end, and a pipe may never have data.
fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a text in UTF-8"))
}

/// Reads the file at `path` and all files that it extends as one table, see [`Layered::read`].
///
/// # Errors
///
/// A file cannot be read, is not TOML, or extends itself.
pub fn read_layers(
    path: &Path,
    embedded: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Table, LayerError> {
    Layered::read(path, embedded).map(|layers| layers.table)
}

/// Reads a configuration that is compiled in, and all files that it extends, as one table.
///
/// # Errors
///
/// As [`read_layers`].
pub fn read_embedded(
    name: &str,
    text: &str,
    embedded: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Table, LayerError> {
    Layered::read_embedded(name, text, embedded).map(|layers| layers.table)
}

/// Reads `a.b=v` into the table `{a: {b: v}}`.
///
/// The value is TOML if it parses as TOML, and a string otherwise, so `name=rat` needs no quotes.
///
/// # Errors
///
/// There is no `=`, or a name of the key is empty.
pub fn parse_set(text: &str) -> Result<Table, LayerError> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| LayerError::NoEquals { text: text.to_owned() })?;
    let names: Vec<&str> = key.trim().split('.').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(LayerError::Key { key: key.to_owned() });
    }
    let value = value.trim();
    let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
    let (last, above) = names.split_last().unwrap_or((&"", &[]));
    let innermost = Table::from_iter([((*last).to_owned(), value)]);
    Ok(above.iter().rev().fold(innermost, |inner, name| {
        Table::from_iter([((*name).to_owned(), Value::Table(inner))])
    }))
}

/// Merges `over` into `base`: tables merge key by key, and other values are replaced.
pub fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Returns the known word nearest to `word`, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn nothing(_: &str) -> Option<&'static str> {
        None
    }

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        use std::io::Write;
        let path = folder.join(name);
        fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    #[test]
    fn a_file_lies_on_what_it_extends() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "base.toml", "[model]\ndim = 8\nheads = 2\n");
        let top = written(folder.path(), "top.toml", "extends = 'base.toml'\nmodel.dim = 16\n");

        let table = read_layers(&top, &nothing).unwrap();

        assert_eq!(table, "model = {dim = 16, heads = 2}".parse().unwrap());
    }

    #[test]
    fn an_embedded_file_can_be_extended_by_name() {
        let embedded = |name: &str| (name == "defaults/x").then_some("a = 1\nb = 1");

        let table = read_embedded("top", "extends = 'defaults/x'\nb = 2", &embedded).unwrap();

        assert_eq!(table, "a = 1\nb = 2".parse().unwrap());
    }

    #[test]
    fn files_that_extend_each_other_are_told_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let one = written(folder.path(), "one.toml", "extends = 'two.toml'");
        written(folder.path(), "two.toml", "extends = 'one.toml'");

        let refused = read_layers(&one, &nothing).unwrap_err();

        assert!(matches!(&refused, LayerError::Cycle { chain } if chain.len() == 3), "{refused}");
    }

    #[test]
    fn a_key_is_placed_in_the_layer_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let base = written(folder.path(), "base.toml", "[model]\ndim = 8\n");
        let top = written(folder.path(), "top.toml", "# mine\nextends = 'base.toml'\n");

        let layers = Layered::read(&top, &nothing).unwrap();

        let place = layers.place(&["model", "dimm"]);
        assert_eq!(place.to_string(), format!("{}:1", base.display()));
        assert_eq!(layers.place(&["modell"]), TomlPlace::whole(&top));
        fs::remove_file(&base).unwrap();
        let refused = Layered::read(&top, &nothing).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{}:2: `extends` names", top.display())), "{refused}");
    }

    #[test]
    fn what_is_no_text_is_refused_at_once() {
        for device in ["/dev/full", "/dev/zero"] {
            let refused = Layered::read(Path::new(device), &nothing).unwrap_err();

            assert!(refused.to_string().contains("not a regular file"), "{refused}");
        }
    }

    #[test]
    fn a_value_that_is_not_toml_is_a_string() {
        assert_eq!(parse_set("a.b=rat").unwrap(), "a.b = 'rat'".parse().unwrap());
        assert_eq!(parse_set("lr=1e-3").unwrap(), "lr = 1e-3".parse().unwrap());
        assert_eq!(parse_set("x=[1, 2]").unwrap(), "x = [1, 2]".parse().unwrap());
        assert!(matches!(parse_set("lr"), Err(LayerError::NoEquals { .. })));
        assert!(matches!(parse_set("a..b=1"), Err(LayerError::Key { .. })));
    }

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        assert_eq!(nearest("seqlen", ["input", "seq_len"]), Some("seq_len"));
        assert_eq!(nearest("zebra", ["input", "seq_len"]), None);
    }
}

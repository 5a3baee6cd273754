//! Layered configuration: TOML files that extend others, and values set from the command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::{Table, Value};

/// The key that names the file a file is laid upon.
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
    #[error("{}: `extends` is {found}, expected the path of a TOML file", .path.display())]
    Extends {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
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

/// Reads the file at `path` and all that it extends, the nearest on top.
///
/// A path in `extends` is relative to the file that has it; `embedded` is asked first, so that
/// files compiled in can be extended by name.
///
/// # Errors
///
/// A file cannot be read, is not TOML, or extends itself.
pub fn read_layers(
    path: &Path,
    embedded: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Table, LayerError> {
    let text = fs::read_to_string(path)
        .map_err(|source| LayerError::Io { path: path.to_owned(), source })?;
    let mut chain = vec![path.to_owned()];
    resolve(path, &text, embedded, &mut chain)
}

/// Reads a configuration that is compiled in, and all that it extends.
///
/// # Errors
///
/// As [`read_layers`].
pub fn read_embedded(
    name: &str,
    text: &str,
    embedded: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Table, LayerError> {
    let mut chain = vec![PathBuf::from(name)];
    resolve(Path::new(name), text, embedded, &mut chain)
}

fn resolve(
    path: &Path,
    text: &str,
    embedded: &dyn Fn(&str) -> Option<&'static str>,
    chain: &mut Vec<PathBuf>,
) -> Result<Table, LayerError> {
    let mut table: Table = text
        .parse()
        .map_err(|source| LayerError::Toml { path: path.to_owned(), source: Box::new(source) })?;
    let below = match table.remove(EXTENDS) {
        None => return Ok(table),
        Some(Value::String(below)) => below,
        Some(other) => {
            return Err(LayerError::Extends { path: path.to_owned(), found: other.type_str() });
        }
    };
    let (below_path, below_text) = if let Some(text) = embedded(&below) {
        (PathBuf::from(&below), text.to_owned())
    } else {
        let beside = path.parent().unwrap_or(Path::new("")).join(&below);
        let text = fs::read_to_string(&beside)
            .map_err(|source| LayerError::Io { path: beside.clone(), source })?;
        (beside, text)
    };
    let seen = chain.contains(&below_path);
    chain.push(below_path.clone());
    if seen {
        return Err(LayerError::Cycle { chain: chain.clone() });
    }
    let mut base = resolve(&below_path, &below_text, embedded, chain)?;
    overlay(&mut base, table);
    Ok(base)
}

/// Reads `a.b=v` into the table `{a: {b: v}}`.
///
/// The value is TOML where it parses as TOML and a string where it does not, so that `name=rat`
/// needs no quotes.
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

/// Lays `over` on `base`: tables merge key by key, all else is replaced.
pub fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Returns the known word nearest to `word`, where one is near enough to be meant.
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

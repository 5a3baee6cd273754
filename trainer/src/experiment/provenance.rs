//! Where a key of an experiment was written: a line of a file, what is compiled in, or `--set`.

use ratdata_schemas::layered::parse_set;
use ratdata_schemas::{TomlPlace, TomlText};
use toml::{Table, Value};

/// What an experiment was read from.
#[derive(Debug)]
pub(super) struct Provenance<'a> {
    /// What the user called it.
    pub(super) name: &'a str,
    /// Its layers, the topmost first.
    pub(super) files: Vec<TomlText>,
    /// What `--set` lays on top, in order.
    pub(super) sets: &'a [String],
}

impl Provenance<'_> {
    /// Says where a key counts, with the tables above it as in `model.layers`: a missing one at
    /// the line of its table.
    pub(super) fn of(&self, key: &str) -> String {
        let keys: Vec<&str> = key.split('.').collect();
        let sets = |set: &&String| parse_set(set).is_ok_and(|table| has(&table, &keys));
        if let Some(set) = self.sets.iter().rev().find(sets) {
            return format!("--set {set}");
        }
        TomlPlace::near(&self.files, &keys)
            .map_or_else(|| self.name.to_owned(), |place| place.to_string())
    }
}

/// Returns whether a table has a key, with the tables above it.
fn has(table: &Table, keys: &[&str]) -> bool {
    match keys {
        [] => true,
        [key, rest @ ..] => match table.get(*key) {
            Some(Value::Table(below)) => has(below, rest),
            Some(_) => rest.is_empty(),
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_from_the_last_set_that_has_it_or_from_its_line() {
        let text = "[model]\nlayers = 2\n".to_owned();
        let sets = ["model.dim=1", "model={dim=2}", "model.dim=3"].map(str::to_owned);
        let files = vec![TomlText { path: "mine.toml".into(), text }];
        let provenance = |sets| Provenance { name: "mine.toml", files: files.clone(), sets };

        assert_eq!(provenance(&sets).of("model.dim"), "--set model.dim=3");
        assert_eq!(provenance(&sets[..2]).of("model.dim"), "--set model={dim=2}");
        assert_eq!(provenance(&sets).of("model.layers"), "mine.toml:2");
        assert_eq!(provenance(&sets).of("model.heads"), "mine.toml:1");
        assert_eq!(provenance(&sets).of("training"), "mine.toml");
    }
}

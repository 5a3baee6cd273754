//! Fingerprints: what a step's bytes are decided by, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratdata_schemas::Checksum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outside::Content;
use super::step_kind::StepKind;

/// Of how many files of one input it is kept what they held, so that a change has a name.
const MOST_NAMED: usize = 256;

/// What a step is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepRecipe {
    pub(crate) kind: StepKind,
    pub(crate) version: u32,
    pub(crate) config: Map<String, Value>,
    /// Fingerprints of steps and checksums of files, by the name that the config uses.
    pub(crate) inputs: BTreeMap<String, String>,
}

/// A recipe as it is kept with its result, so that a later plan can say what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    #[serde(flatten)]
    recipe: StepRecipe,
    /// What the files of each input held, where they are not too many. Older versions kept none of
    /// it, since they looked at samples of large files.
    #[serde(default)]
    files: Option<BTreeMap<String, Vec<Held>>>,
}

/// What a file held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    name: String,
    bytes: u64,
    blake3: Checksum,
}

impl StepRecipe {
    /// Returns the fingerprint: the same recipe, the same bytes.
    pub(crate) fn fingerprint(&self) -> String {
        let recipe = serde_json::json!([self.kind, self.version, self.config, self.inputs]);
        Checksum::of_value(&recipe).as_str().to_owned()
    }

    /// Returns what is kept of a recipe whose files held this.
    pub(crate) fn made_of(&self, contents: &[Arc<Content>]) -> Made {
        let files = contents.iter().map(|content| (content.name.clone(), held(content)));
        Made { recipe: self.clone(), files: Some(files.collect()) }
    }

    /// Says what differs from an earlier recipe, old -> new.
    pub(crate) fn changes(&self, made: &Made, contents: &[Arc<Content>]) -> Vec<String> {
        let old = &made.recipe;
        let mut changes = Vec::new();
        let mut note = |what: &str, old: Option<String>, new: Option<String>| {
            if old != new {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "unset".into());
                changes.push(format!("{what}: {} -> {}", shown(old), shown(new)));
            }
        };
        note("kind", Some(old.kind.to_string()), Some(self.kind.to_string()));
        note("version", Some(old.version.to_string()), Some(self.version.to_string()));
        let mut names: Vec<&String> = old.config.keys().collect();
        names.extend(self.config.keys().filter(|key| !old.config.contains_key(*key)));
        for name in names {
            let of = |recipe: &Self| recipe.config.get(name).map(ToString::to_string);
            note(name, of(old), of(self));
        }
        let mut names: Vec<&String> = old.inputs.keys().collect();
        names.extend(self.inputs.keys().filter(|name| !old.inputs.contains_key(*name)));
        for name in names {
            let short = |text: &String| text.chars().take(12).collect::<String>();
            let (before, now) = (old.inputs.get(name), self.inputs.get(name));
            if before == now {
                continue;
            }
            let content = contents.iter().find(|content| content.name == *name);
            let which = match (content, &made.files) {
                (Some(content), Some(files)) => {
                    files.get(name).map_or_else(String::new, |held| which(held, content))
                }
                (Some(_), None) if before.is_some() => {
                    " (an older version looked at samples of large files, which do not tell)".into()
                }
                _ => String::new(),
            };
            let shown = |value: Option<&String>| value.map_or_else(|| "unset".into(), short);
            changes.push(format!("input {name}: {} -> {}{which}", shown(before), shown(now)));
        }
        changes
    }
}

fn held(content: &Content) -> Vec<Held> {
    if content.files.len() > MOST_NAMED {
        return Vec::new();
    }
    let one = |read: &super::outside::Read| Held {
        name: read.name.clone(),
        bytes: read.bytes(),
        blake3: read.blake3.clone(),
    };
    content.files.iter().map(one).collect()
}

/// Names the first file that differs, and how: ` (a.jsonl: content)`.
fn which(before: &[Held], content: &Content) -> String {
    let now = held(content);
    if before.is_empty() || now.is_empty() {
        return String::new();
    }
    let old = |file: &Held| before.iter().find(|old| old.name == file.name).cloned();
    let change = |file: &Held| match old(file) {
        None => Some(format!("{}: new", file.name)),
        Some(old) if old.bytes != file.bytes => {
            Some(format!("{}: size: {} -> {} bytes", file.name, old.bytes, file.bytes))
        }
        Some(old) if old.blake3 != file.blake3 => Some(format!("{}: content", file.name)),
        Some(_) => None,
    };
    let gone = |old: &&Held| !now.iter().any(|file| file.name == old.name);
    let mut changes: Vec<String> = now.iter().filter_map(change).collect();
    changes.extend(before.iter().filter(gone).map(|old| format!("{}: gone", old.name)));
    match changes.as_slice() {
        [] => String::new(),
        [one] => format!(" ({one})"),
        [first, rest @ ..] => format!(" ({first}, and {} more)", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(share: f64) -> StepRecipe {
        let config = serde_json::json!({"input": "x", "val_fraction": share});
        let inputs = BTreeMap::from([("x".to_owned(), "0123456789abcdef".to_owned())]);
        let Value::Object(config) = config else { unreachable!() };
        StepRecipe { kind: StepKind::Tokenize, version: 1, config, inputs }
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one = recipe(0.5);
        let mut other = one.clone();
        other.config = other.config.into_iter().rev().collect();

        assert_eq!(one.fingerprint(), other.fingerprint());
        assert_ne!(one.fingerprint(), recipe(0.25).fingerprint());
    }

    #[test]
    fn a_change_is_told_old_to_new() {
        let mut new = recipe(0.25);
        new.inputs.insert("x".into(), "fedcba9876543210".into());

        assert_eq!(
            new.changes(&recipe(0.5).made_of(&[]), &[]),
            ["val_fraction: 0.5 -> 0.25", "input x: 0123456789ab -> fedcba987654"]
        );
    }

    #[test]
    fn what_older_versions_kept_is_still_read() {
        let mut old = serde_json::to_value(recipe(0.5)).unwrap();
        old["whole"] = serde_json::json!({"x": {"hash": "01", "named": true}});

        let made: Made = serde_json::from_value(old).unwrap();

        assert_eq!(made.recipe, recipe(0.5));
        assert_eq!(made.files, None);
    }
}

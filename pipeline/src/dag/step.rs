//! A step as its pipeline describes it, and the texts in it that name results of other steps.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::step_key::Role;
use super::step_kind::{Sharing, StepKind, key};

/// The number of a step in its pipeline, whose steps are in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepId(pub(crate) usize);

/// One step, by name.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: StepKind,
    /// What decides the bytes.
    pub(crate) config: Map<String, Value>,
    /// What does not.
    pub(crate) knobs: Map<String, Value>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) memory_gb: f64,
    /// Where a link to the result is put.
    pub(crate) publish: Option<PathBuf>,
    /// The steps it takes, ascending.
    pub(crate) inputs: Vec<StepId>,
}

impl Step {
    /// Returns the files that a program promises.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        let outputs = self.config.get(key::OUTPUTS).filter(|_| self.kind == StepKind::Command);
        outputs.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Returns what the tasks of an array divide among themselves.
    pub(crate) fn sharing(&self) -> Sharing {
        // A limit counts documents over all files, in their order.
        let is_limited = self.config.keys().any(|name| self.role(name) == Some(Role::Limit));
        if is_limited { Sharing::Nothing } else { self.kind.sharing() }
    }

    /// Returns what the values of a key stand for.
    pub(crate) fn role(&self, key: &str) -> Option<Role> {
        self.kind.key(key).map(|key| key.role)
    }
}

/// Splits a text that names a step's result, `@STEP/REST` or `KEY=@STEP/REST`, at the name.
pub(crate) fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = if let Some(rest) = text.strip_prefix('@') {
        ("", rest)
    } else {
        let at = text.find("=@")?;
        (&text[..=at], &text[at + 2..])
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some((before, name, after))
}

/// Calls `each` with every text of a config and the key it is under.
pub(crate) fn texts<'a>(config: &'a Map<String, Value>, each: &mut dyn FnMut(&'a str, &'a str)) {
    fn walk<'a>(key: &'a str, value: &'a Value, each: &mut dyn FnMut(&'a str, &'a str)) {
        match value {
            Value::String(text) => each(key, text),
            Value::Array(values) => values.iter().for_each(|value| walk(key, value, each)),
            Value::Object(values) => values.values().for_each(|value| walk(key, value, each)),
            _ => {}
        }
    }
    config.iter().for_each(|(key, value)| walk(key, value, each));
}

//! A step as its pipeline describes it, and the texts in it that name results of other steps.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::kinds::{self, Kind};

/// One step, by name.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: Arc<Kind>,
    /// What decides the bytes.
    pub(crate) config: Map<String, Value>,
    /// What does not.
    pub(crate) knobs: Map<String, Value>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) memory_gb: f64,
    /// Where a link to the result is put.
    pub(crate) publish: Option<PathBuf>,
    /// Numbers of the steps it takes, ascending.
    pub(crate) inputs: Vec<usize>,
}

impl Step {
    /// Returns the files that a program promises.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        let outputs = self.config.get("outputs").filter(|_| self.kind.name == kinds::COMMAND);
        outputs.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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

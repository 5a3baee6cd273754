//! Task files: where instruction data lies, how a prompt is made of it, and which rows are taken.
//!
//! The reference's five tasks are such files, compiled in; anyone's own data is another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ratdata_schemas::PlainName;
use ratdata_schemas::layered::{self, LayerError, nearest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::clip::Truncate;
use super::date::Date;
use super::template::Template;

/// The tasks that are compiled in, by name.
pub const TASKS: [(&str, &str); 5] = [
    ("narrativeqa_summary", include_str!("../../../configs/sft/narrativeqa_summary.toml")),
    ("narrativeqa_text", include_str!("../../../configs/sft/narrativeqa_text.toml")),
    ("narrativeqa_full", include_str!("../../../configs/sft/narrativeqa_full.toml")),
    ("qmsum", include_str!("../../../configs/sft/qmsum.toml")),
    ("wikisum", include_str!("../../../configs/sft/wikisum.toml")),
];

/// A task: everything that decides its rows but the tokenizer and the row's length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The prompt, with `{column}` where a column's text goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Template>,
    /// Conversations instead of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// How many tokens a model may answer with; room for them is left in test rows.
    #[serde(default = "default_new_tokens")]
    pub max_new_tokens: u32,
    /// How examples longer than a row are cut, unless the command says otherwise.
    #[serde(default)]
    pub truncate: Truncate,
    /// The parts: `train`, `validation`, `test`.
    pub splits: BTreeMap<PlainName, Split>,
}

fn default_new_tokens() -> u32 {
    256
}

/// A column of conversations and the template that writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// The column with a list of `{role, content}`.
    #[serde(default = "default_messages")]
    pub messages: String,
    /// The column with the tools that the template may show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// The Jinja template; without one, that of the tokenizer's `tokenizer_config.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the template is told by `strftime_now`; no clock is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
}

fn default_messages() -> String {
    "messages".into()
}

/// One part of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Files, a pattern, or an address on the hub; relative to the task file.
    pub source: String,
    /// The file in a folder given by the user, which then stands for `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Another prompt than the task's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Template>,
    /// The columns with answers; each makes examples of all rows, one column after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The column with reference answers to score against: then the rows are prompts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// The seed of the examples' order, as `numpy.random.default_rng(seed).permutation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<u64>,
    /// Which of them are taken, after the shuffle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// For a row of so many tokens, how long a prompt may be; else the answer's room is left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompt_limit: BTreeMap<String, u32>,
}

/// A draw as Python's `random.seed(seed); random.sample(range(n), rows)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// How many examples.
    pub rows: u32,
    /// The seed.
    pub seed: u32,
}

/// Why a task cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// No task has that name.
    #[error("no task `{name}`; the tasks are: {}", TASKS.map(|(name, _)| name).join(", "))]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// The task file cannot be read.
    #[error(transparent)]
    Layers(#[from] LayerError),
    /// The task file has a wrong key or value.
    #[error("{}: {reason}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The task has no such part.
    #[error("the task has no split `{split}`, there are: {}", .present.join(", "))]
    NoSplit {
        /// The part that was asked for.
        split: String,
        /// The parts there are.
        present: Vec<String>,
    },
}

impl TaskError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name } => nearest(name, TASKS.map(|(name, _)| name))
                .map(|name| format!("did you mean `{name}`?"))
                .or(Some("your own data is described by `--task-file`".into())),
            _ => None,
        }
    }
}

impl Task {
    /// Returns a task that is compiled in.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let text = embedded(name).ok_or_else(|| TaskError::Unknown { name: name.to_owned() })?;
        let table = layered::read_embedded(name, text, &embedded)?;
        Self::of_table(Path::new(name), table)
    }

    /// Reads a task file; it may extend another, or a task by name.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a wrong key or value.
    pub fn read(path: &Path) -> Result<Self, TaskError> {
        let mut task = Self::of_table(path, layered::read_layers(path, &embedded)?)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for split in task.splits.values_mut() {
            if !split.source.starts_with("hf://") {
                split.source = folder.join(&split.source).display().to_string();
            }
        }
        Ok(task)
    }

    fn of_table(path: &Path, table: toml::Table) -> Result<Self, TaskError> {
        let wrong = |reason: String| TaskError::Wrong { path: path.to_owned(), reason };
        // A split names files, which must lie in the artifact and nowhere else. The type refuses
        // other names, too, and cannot tell where they stand.
        let splits = table.get("splits").and_then(toml::Value::as_table);
        for name in splits.into_iter().flat_map(toml::Table::keys) {
            PlainName::new(name).map_err(|error| wrong(format!("splits: {error}")))?;
        }
        let task: Self = table.try_into().map_err(|error: toml::de::Error| {
            wrong(error.to_string().trim_end().replace('\n', "; "))
        })?;
        match (&task.prompt, &task.chat) {
            (Some(_), Some(_)) => return Err(wrong("has both `prompt` and `chat`".into())),
            (None, None) if task.splits.values().any(|split| split.prompt.is_none()) => {
                return Err(wrong("has neither `prompt` nor `chat`".into()));
            }
            _ => {}
        }
        if task.splits.contains_key("val") && task.splits.contains_key("validation") {
            return Err(wrong(
                "has both `splits.val` and `splits.validation`, which are one part of an artifact; remove or rename one".into(),
            ));
        }
        for (name, split) in &task.splits {
            let answered = [!split.answers.is_empty(), split.references.is_some()];
            match (&task.chat, answered) {
                (Some(_), [false, false]) | (None, [true, false] | [false, true]) => {}
                (Some(_), _) => {
                    return Err(wrong(format!(
                        "splits.{name}: a chat's answers are its assistant turns; remove `answers` and `references`"
                    )));
                }
                (None, _) => {
                    return Err(wrong(format!(
                        "splits.{name}: expected either `answers`, to learn from, or `references`, to score against"
                    )));
                }
            }
        }
        Ok(task)
    }

    /// Returns the part named `split`.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn split(&self, split: &str) -> Result<&Split, TaskError> {
        self.splits.get(split).ok_or_else(|| TaskError::NoSplit {
            split: split.to_owned(),
            present: self.splits.keys().map(ToString::to_string).collect(),
        })
    }
}

impl Split {
    /// Returns below how many tokens the ids of a row of `max_length` stay.
    pub fn limit(&self, max_length: u32, max_new_tokens: u32) -> u32 {
        if self.references.is_none() {
            return max_length;
        }
        let given = self.prompt_limit.get(&max_length.to_string()).copied();
        given.unwrap_or(max_length.saturating_sub(max_new_tokens))
    }
}

fn embedded(name: &str) -> Option<&'static str> {
    TASKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_of_the_reference_are_whole() {
        for (name, _) in TASKS {
            let task = Task::named(name).unwrap();

            assert_eq!(task.splits.len(), 3, "{name}");
            assert!(task.splits["test"].limit(4096, task.max_new_tokens) < 4096, "{name}");
        }
    }

    #[test]
    fn a_name_with_a_typo_is_told_the_nearest() {
        let wrong = Task::named("wikisun").unwrap_err();

        assert_eq!(wrong.hint().unwrap(), "did you mean `wikisum`?");
    }
}

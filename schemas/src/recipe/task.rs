//! Task files: where instruction data lies, how a prompt is made of it, and which rows are taken.
//!
//! The reference's five tasks are such files, compiled in; anyone's own data is another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chat::Chat;
use super::date::Date;
use super::loss::{LossOn, LossWithout};
use super::preference::{Preference, Side};
use super::template::Template;
use crate::layered::{LayerError, Layered, nearest};
use crate::plain_name::PlainName;
use crate::toml_place::TomlPlace;

/// The tasks that are compiled in, by name.
pub const TASKS: [(&str, &str); 6] = [
    ("narrativeqa_summary", include_str!("../../../configs/sft/narrativeqa_summary.toml")),
    ("narrativeqa_text", include_str!("../../../configs/sft/narrativeqa_text.toml")),
    ("narrativeqa_full", include_str!("../../../configs/sft/narrativeqa_full.toml")),
    ("qmsum", include_str!("../../../configs/sft/qmsum.toml")),
    ("wikisum", include_str!("../../../configs/sft/wikisum.toml")),
    ("preference", include_str!("../../../configs/sft/preference.toml")),
];

/// A task: everything that decides its rows but the tokenizer and the row's length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The prompt, with `{column}` where a column's text goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Template>,
    /// Conversations instead of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// Preference pairs; `chat` then says how their conversations are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<Preference>,
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

/// What becomes of an example that is longer than its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Truncate {
    /// Remove its middle, as in the reference.
    #[default]
    Middle,
    /// Remove its beginning.
    Left,
    /// Remove its end.
    Right,
    /// Leave it out.
    Drop,
}

/// One part of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Files, a pattern, or an address on the hub; as the task file has it.
    pub source: String,
    /// The folder of the task file, which `source` is relative to. No artifact records it.
    #[serde(skip)]
    pub folder: PathBuf,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[error("{place}: {reason}")]
    Wrong {
        /// The file and, where it is known, the line.
        place: TomlPlace,
        /// What is wrong.
        reason: String,
        /// What is probably meant.
        hint: Option<String>,
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
            Self::Wrong { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// The name of a task's split in an artifact: `validation` is `val`.
pub fn artifact_split(split: &str) -> &str {
    if split == "validation" { "val" } else { split }
}

impl Task {
    /// Returns a task that is compiled in.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let text = embedded(name).ok_or_else(|| TaskError::Unknown { name: name.to_owned() })?;
        Self::of(&Layered::read_embedded(name, text, &embedded)?)
    }

    /// Reads a task file; it may extend another, or a task by name.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a wrong key or value.
    pub fn read(path: &Path) -> Result<Self, TaskError> {
        let mut task = Self::of(&Layered::read(path, &embedded)?)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for split in task.splits.values_mut() {
            folder.clone_into(&mut split.folder);
        }
        Ok(task)
    }

    fn of(layers: &Layered) -> Result<Self, TaskError> {
        let written = Written { layers };
        written.check()?;
        let task: Self = layers
            .table
            .clone()
            .try_into()
            .map_err(|wrong| written.wrong(&[], one_line(&wrong)))?;
        match (&task.prompt, &task.chat) {
            (Some(_), Some(_)) => {
                return Err(written.wrong(&["chat"], "has both `prompt` and `chat`".into()));
            }
            (None, None)
                if task.preference.is_none()
                    && task.splits.values().any(|split| split.prompt.is_none()) =>
            {
                return Err(written.wrong(&[], "has neither `prompt` nor `chat`".into()));
            }
            _ => {}
        }
        if let Some(preference) = &task.preference {
            let has_template =
                task.prompt.is_some() || task.splits.values().any(|split| split.prompt.is_some());
            if has_template && preference.prompt.is_some() {
                let reason = "has both `prompt` and `preference.prompt`";
                return Err(written.wrong(&["preference", "prompt"], reason.into()));
            }
        }
        if task.splits.contains_key("val") && task.splits.contains_key("validation") {
            return Err(written.wrong(
                &["splits", "val"],
                "has both `splits.val` and `splits.validation`, which are one part of an artifact; remove or rename one".into(),
            ));
        }
        for (name, split) in &task.splits {
            let wrong = |reason: String| Err(written.wrong(&["splits", name.as_str()], reason));
            let answered = [!split.answers.is_empty(), split.references.is_some()];
            if task.preference.is_some() {
                if answered == [false, false] {
                    continue;
                }
                return wrong(format!(
                    "splits.{name}: the answers of preference pairs are `preference.chosen` and `preference.rejected`; remove `answers` and `references`"
                ));
            }
            match (&task.chat, answered) {
                (Some(_), [false, false]) | (None, [true, false] | [false, true]) => {}
                (Some(_), _) => {
                    return wrong(format!(
                        "splits.{name}: a chat's answers are its assistant turns; remove `answers` and `references`"
                    ));
                }
                (None, _) => {
                    return wrong(format!(
                        "splits.{name}: expected either `answers`, to learn from, or `references`, to score against"
                    ));
                }
            }
        }
        Ok(task)
    }

    /// Returns the names of a split's parts in an artifact: its own, or one for each side of its
    /// preference pairs.
    pub fn artifact_splits(&self, split: &str) -> Vec<String> {
        let name = artifact_split(split);
        match self.preference {
            Some(_) => Side::ALL.map(|side| side.split(name)).to_vec(),
            None => vec![name.to_owned()],
        }
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
    /// Returns where the split's files are when the user names no folder.
    pub fn located(&self) -> String {
        if self.source.contains("://") {
            return self.source.clone();
        }
        self.folder.join(&self.source).display().to_string()
    }

    /// Returns below how many tokens the ids of a row of `max_length` stay.
    pub fn limit(&self, max_length: u32, max_new_tokens: u32) -> u32 {
        if self.references.is_none() {
            return max_length;
        }
        let given = self.prompt_limit.get(&max_length.to_string()).copied();
        given.unwrap_or(max_length.saturating_sub(max_new_tokens))
    }
}

/// The keys of a task file, table by table.
const OF_TASK: [&str; 6] = ["chat", "max_new_tokens", "preference", "prompt", "splits", "truncate"];
const OF_PREFERENCE: [&str; 3] = ["chosen", "prompt", "rejected"];
const OF_CHAT: [&str; 6] = ["date", "loss_on", "loss_without", "messages", "template", "tools"];
const OF_SPLIT: [&str; 8] =
    ["answers", "local", "prompt", "prompt_limit", "references", "sample", "shuffle", "source"];

/// A task file as it is written, checked key by key so that each mistake has a line.
struct Written<'a> {
    layers: &'a Layered,
}

impl Written<'_> {
    fn check(&self) -> Result<(), TaskError> {
        let table = &self.layers.table;
        self.known(&[], table, &OF_TASK)?;
        self.value::<Template>(table, &["prompt"])?;
        self.value::<u32>(table, &["max_new_tokens"])?;
        self.value::<Truncate>(table, &["truncate"])?;
        if let Some(chat) = self.table(table, &["chat"])? {
            self.known(&["chat"], chat, &OF_CHAT)?;
            for key in ["messages", "template", "tools"] {
                self.value::<String>(chat, &["chat", key])?;
            }
            self.value::<Date>(chat, &["chat", "date"])?;
            self.value::<LossOn>(chat, &["chat", "loss_on"])?;
            self.value::<Vec<LossWithout>>(chat, &["chat", "loss_without"])?;
        }
        if let Some(preference) = self.table(table, &["preference"])? {
            self.known(&["preference"], preference, &OF_PREFERENCE)?;
            for key in OF_PREFERENCE {
                self.value::<String>(preference, &["preference", key])?;
            }
            if table.get("chat").is_some_and(|chat| chat.get("messages").is_some()) {
                let reason = "`chat.messages` is not read: the conversations of preference pairs are in `preference.prompt`, `preference.chosen` and `preference.rejected`";
                return Err(self.wrong(&["chat", "messages"], reason.into()));
            }
        }
        let Some(splits) = self.table(table, &["splits"])? else {
            return Err(self.wrong(&[], "has no `splits`, expected `[splits.train]`".into()));
        };
        for name in splits.keys() {
            // A split names files, which must lie in the artifact and nowhere else.
            if let Err(wrong) = PlainName::new(name) {
                return Err(self.wrong(&["splits", name], format!("splits.{name:?}: {wrong}")));
            }
            self.check_split(splits, name)?;
        }
        Ok(())
    }

    fn check_split(&self, splits: &toml::Table, name: &str) -> Result<(), TaskError> {
        let Some(split) = self.table(splits, &["splits", name])? else { return Ok(()) };
        self.known(&["splits", name], split, &OF_SPLIT)?;
        if !split.contains_key("source") {
            return Err(self.wrong(
                &["splits", name],
                format!("splits.{name}: has no `source`, expected files, a pattern or an address"),
            ));
        }
        for key in ["local", "references", "source"] {
            self.value::<String>(split, &["splits", name, key])?;
        }
        self.value::<Template>(split, &["splits", name, "prompt"])?;
        self.value::<Vec<String>>(split, &["splits", name, "answers"])?;
        self.value::<u64>(split, &["splits", name, "shuffle"])?;
        self.value::<BTreeMap<String, u32>>(split, &["splits", name, "prompt_limit"])?;
        if let Some(sample) = self.table(split, &["splits", name, "sample"])? {
            self.known(&["splits", name, "sample"], sample, &["rows", "seed"])?;
        }
        self.value::<Sample>(split, &["splits", name, "sample"])
    }

    /// Checks that a table has no key but those that are read.
    fn known(&self, keys: &[&str], table: &toml::Table, known: &[&str]) -> Result<(), TaskError> {
        let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let path = [keys, &[key.as_str()]].concat();
        let reason = format!("unknown key `{}`", path.join("."));
        let hint = nearest(key, known.iter().copied()).map_or_else(
            || format!("known are {}", known.join(", ")),
            |nearest| format!("did you mean `{nearest}`?"),
        );
        Err(TaskError::Wrong { place: self.layers.place(&path), reason, hint: Some(hint) })
    }

    /// Returns the table under the last of the keys, where there is something.
    fn table<'t>(
        &self,
        above: &'t toml::Table,
        keys: &[&str],
    ) -> Result<Option<&'t toml::Table>, TaskError> {
        let Some(value) = keys.last().and_then(|key| above.get(*key)) else { return Ok(None) };
        value.as_table().map(Some).ok_or_else(|| {
            let found = value.type_str();
            self.wrong(keys, format!("`{}`: found {found}, expected a table", keys.join(".")))
        })
    }

    /// Checks that the value under the last of the keys is of a type, where there is one.
    fn value<T: DeserializeOwned>(
        &self,
        table: &toml::Table,
        keys: &[&str],
    ) -> Result<(), TaskError> {
        let Some(value) = keys.last().and_then(|key| table.get(*key)) else { return Ok(()) };
        value.clone().try_into::<T>().map(drop).map_err(|wrong: toml::de::Error| {
            self.wrong(keys, format!("`{}`: {}", keys.join("."), one_line(&wrong)))
        })
    }

    fn wrong(&self, keys: &[&str], reason: String) -> TaskError {
        TaskError::Wrong { place: self.layers.place(keys), reason, hint: None }
    }
}

fn one_line(wrong: &toml::de::Error) -> String {
    wrong.to_string().trim_end().replace('\n', "; ")
}

fn embedded(name: &str) -> Option<&'static str> {
    TASKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tasks_of_the_reference_are_whole() {
        for (name, _) in TASKS {
            let task = Task::named(name).unwrap();
            if task.preference.is_some() {
                continue;
            }

            assert_eq!(task.splits.len(), 3, "{name}");
            assert!(task.splits["test"].limit(4096, task.max_new_tokens) < 4096, "{name}");
        }
    }

    #[test]
    fn a_mistake_in_a_task_file_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        let good = "prompt = 'Q'\n\n[splits.train]\nsource = 'x.jsonl'\nanswers = ['a']\n";
        for (from, to, line, says) in [
            ("answers", "answer", 5, "unknown key `splits.train.answer`"),
            ("prompt", "promt", 1, "unknown key `promt`"),
            ("prompt = 'Q'", "prompt = '{q'", 1, "never closed"),
            ("['a']", "'a'", 5, "expected a sequence"),
            ("source = 'x.jsonl'", "shuffle = 'x'", 3, "no `source`"),
            ("answers = ['a']", "sample = { row = 1, seed = 1 }", 5, "`splits.train.sample.row`"),
            ("answers = ['a']", "shuffle = -1", 5, "splits.train.shuffle"),
            ("answers = ['a']", "", 3, "expected either `answers`"),
        ] {
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(good.replace(from, to).as_bytes()).unwrap();

            let wrong = Task::read(&path).unwrap_err().to_string();

            assert!(wrong.starts_with(&format!("{}:{line}: ", path.display())), "{wrong}");
            assert!(wrong.contains(says), "{wrong}");
        }
    }

    #[test]
    fn a_name_with_a_typo_is_told_the_nearest() {
        let wrong = Task::named("wikisun").unwrap_err();

        assert_eq!(wrong.hint().unwrap(), "did you mean `wikisum`?");
    }
}

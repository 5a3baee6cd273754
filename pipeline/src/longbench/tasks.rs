//! LongBench's tasks by name, as `configs/longbench/tasks.toml` has them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use ratdata_schemas::recipe::{Template, TemplatePart};
use ratdata_score::Task;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The prompts, which are LongBench's.
const TASKS: &str = include_str!("../../../configs/longbench/tasks.toml");

/// What the file says of a task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    max_new_tokens: usize,
    prompt: Template,
}

static FACTS: LazyLock<BTreeMap<String, Facts>> = LazyLock::new(|| {
    // A test reads the file; there is no other.
    toml::from_str(TASKS).unwrap_or_default()
});

/// A task of LongBench.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongBenchTask {
    name: &'static str,
    facts: &'static Facts,
}

impl LongBenchTask {
    /// Returns all tasks, sorted by name.
    pub(crate) fn all() -> Vec<Self> {
        FACTS.iter().map(|(name, facts)| Self { name, facts }).collect()
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// Returns how many tokens an answer has at most.
    pub(crate) fn max_new_tokens(self) -> usize {
        self.facts.max_new_tokens
    }

    /// Returns how its answers are scored.
    pub(crate) fn score(self) -> Option<Task> {
        format!("longbench/{}", self.name).parse().ok()
    }

    /// Returns the task's file in a folder of LongBench's.
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.jsonl", self.name))
    }

    /// Returns the prompt with the columns of a row, or the column that the row lacks.
    ///
    /// Braces in the columns' texts mean nothing.
    pub(super) fn prompt(self, row: &Map<String, Value>) -> Result<String, &'static str> {
        let mut prompt = String::new();
        for part in self.facts.prompt.parts() {
            prompt.push_str(match part {
                TemplatePart::Fixed(text) => text,
                TemplatePart::Column(column) => {
                    row.get(column).and_then(Value::as_str).ok_or(column.as_str())?
                }
            });
        }
        Ok(prompt)
    }
}

impl FromStr for LongBenchTask {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let short = name.strip_prefix("longbench/").unwrap_or(name);
        Self::all().into_iter().find(|task| task.name == short).ok_or_else(|| {
            let names: Vec<&str> = Self::all().into_iter().map(Self::name).collect();
            format!("LongBench has no task `{name}` here, expected one of: {}", names.join(", "))
        })
    }
}

impl fmt::Display for LongBenchTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_fourteen_tasks_of_the_paper() {
        let budgets: Vec<(&str, usize)> = LongBenchTask::all()
            .into_iter()
            .map(|task| (task.name(), task.max_new_tokens()))
            .collect();

        assert_eq!(
            budgets,
            [
                ("2wikimqa", 32),
                ("gov_report", 512),
                ("hotpotqa", 32),
                ("lcc", 64),
                ("multi_news", 512),
                ("multifieldqa_en", 64),
                ("musique", 32),
                ("narrativeqa", 128),
                ("qasper", 128),
                ("qmsum", 512),
                ("repobench-p", 64),
                ("samsum", 128),
                ("trec", 64),
                ("triviaqa", 32),
            ]
        );
        for task in LongBenchTask::all() {
            assert!(task.facts.prompt.to_string().contains("{context}"), "{task}");
            assert_eq!(task.score().unwrap().name(), format!("longbench/{task}"));
        }
    }

    #[test]
    fn columns_are_filled_in_once() {
        let row = |context: &str| {
            Map::from_iter([
                ("context".to_owned(), Value::from(context)),
                ("input".to_owned(), Value::from("Where?")),
            ])
        };
        let task: LongBenchTask = "trec".parse().unwrap();

        let prompt = task.prompt(&row("{input} {x")).unwrap();

        assert!(prompt.ends_with("examples of questions.\n\n{input} {x\nWhere?"), "{prompt}");
        assert_eq!(task.prompt(&Map::new()), Err("context"));
        assert!("vcsum".parse::<LongBenchTask>().unwrap_err().contains("narrativeqa, qasper"));
    }
}

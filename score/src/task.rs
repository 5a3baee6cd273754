//! The tasks of the paper: the metric of each, and which part of a prediction it compares.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::metric::Metric;

/// A task, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    name: &'static str,
    metric: Metric,
    /// What begins the text that is cut off.
    cuts: &'static [&'static str],
}

/// What a question-answering prediction is cut at.
const QUESTION: &[&str] = &["\nQuestion"];

/// The tasks of instruction tuning, whose predictions are compared as they are; then LongBench's.
const TASKS: [Task; 19] = [
    Task::new("narrativeqa_summary", Metric::F1, &[]),
    Task::new("narrativeqa_text", Metric::F1, &[]),
    Task::new("narrativeqa_full", Metric::F1, &[]),
    Task::new("qmsum", Metric::RougeL, &[]),
    Task::new("wikisum", Metric::RougeL, &[]),
    Task::new("longbench/narrativeqa", Metric::F1, QUESTION),
    Task::new("longbench/qasper", Metric::F1, QUESTION),
    Task::new("longbench/multifieldqa_en", Metric::F1, QUESTION),
    Task::new("longbench/hotpotqa", Metric::F1, QUESTION),
    Task::new("longbench/2wikimqa", Metric::F1, QUESTION),
    Task::new("longbench/musique", Metric::F1, QUESTION),
    Task::new("longbench/gov_report", Metric::RougeL, &[]),
    Task::new("longbench/qmsum", Metric::RougeL, &["\nQuery"]),
    Task::new("longbench/multi_news", Metric::RougeL, &[]),
    Task::new("longbench/trec", Metric::Classification, QUESTION),
    Task::new("longbench/triviaqa", Metric::F1, QUESTION),
    Task::new("longbench/samsum", Metric::RougeL, &[]),
    Task::new("longbench/lcc", Metric::CodeSim, &[]),
    Task::new("longbench/repobench-p", Metric::CodeSim, &[]),
];

const LONGBENCH: &str = "longbench/";

impl Task {
    const fn new(name: &'static str, metric: Metric, cuts: &'static [&'static str]) -> Self {
        Self { name, metric, cuts }
    }

    /// Returns the tasks' names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TASKS.iter().map(|task| task.name)
    }

    /// Returns the task's name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns the metric that the paper reports for the task.
    pub fn metric(self) -> Metric {
        self.metric
    }

    /// Returns the part of a prediction that is compared.
    pub fn compared(self, prediction: &str) -> Cow<'_, str> {
        if self.cuts.is_empty() {
            return Cow::Borrowed(prediction);
        }
        let text = prediction.trim_start_matches('\n');
        let end = self.cuts.iter().filter_map(|cut| text.find(cut)).min().unwrap_or(text.len());
        Cow::Borrowed(&text[..end])
    }
}

/// No task has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no task is called `{0}`, expected one of: {names}", names = Task::names().collect::<Vec<_>>().join(", "))]
pub struct UnknownTask(pub String);

impl FromStr for Task {
    type Err = UnknownTask;

    /// Finds a task by its name. A task of LongBench alone needs no `longbench/` before it.
    fn from_str(name: &str) -> Result<Self, UnknownTask> {
        let called = |task: &&Task| task.name == name;
        let short = |task: &&Task| task.name.strip_prefix(LONGBENCH) == Some(name);
        let found = TASKS.iter().find(called).or_else(|| TASKS.iter().find(short));
        found.copied().ok_or_else(|| UnknownTask(name.to_owned()))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_cut_at_the_next_question_where_longbench_asks_one() {
        let text = "\n\nParis\nQuestion: x\nQuery: y";
        let compared = |name: &str| name.parse::<Task>().unwrap().compared(text).into_owned();

        assert_eq!(compared("hotpotqa"), "Paris");
        assert_eq!(compared("longbench/qmsum"), "Paris\nQuestion: x");
        assert_eq!(compared("qmsum"), text);
        assert_eq!(compared("samsum"), text);
    }

    #[test]
    fn a_name_of_both_is_the_instruction_task() {
        let task = |name: &str| name.parse::<Task>().map(Task::name);

        assert_eq!(task("qmsum"), Ok("qmsum"));
        assert_eq!(task("narrativeqa"), Ok("longbench/narrativeqa"));
        assert_eq!(task("squad"), Err(UnknownTask("squad".into())));
    }
}

//! `ratdata score`: how good generated texts are.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ratdata_schemas::write_json;
use ratdata_score::{Metric, Prediction, Task, mean_percent, read_predictions};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// Score generated texts against their answers
///
/// Reads JSON lines of `{"pred": "…", "answers": ["…"]}`, as `generate` writes them, and prints the
/// mean of each metric in percent. A file that is named after a task, such as `qmsum.jsonl`, gets the
/// metric of the task. docs/evaluation.md defines the metrics and lists the tasks.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    /// A file of predictions, or a folder with one file a task
    #[arg(value_name = "PATH", required = true)]
    predictions: Vec<PathBuf>,

    /// How predictions are compared with answers [default: as the task says]
    #[arg(long, value_name = "METRIC", value_delimiter = ',', value_parser = metrics())]
    metric: Vec<Metric>,

    /// What was asked, such as `qmsum` or `longbench/trec` [default: the file's name]
    #[arg(long, value_name = "NAME")]
    task: Option<Task>,

    /// A folder that gets `scores.json`, with the score of each row
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata score predictions/qmsum.jsonl
  ratdata score predictions.jsonl --metric f1,exact-match
  ratdata score predictions/ --metric rouge-l-google --json";

/// The file that `--out` gets.
const SCORES_FILE: &str = "scores.json";

fn metrics() -> impl TypedValueParser<Value = Metric> {
    let values = Metric::ALL.map(|metric| PossibleValue::new(metric.name()).help(metric.about()));
    PossibleValuesParser::new(values).try_map(|name| {
        Metric::ALL.into_iter().find(|metric| metric.name() == name).ok_or("not a metric")
    })
}

/// The scores of every file.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Scored(pub(super) Vec<TaskScores>);

/// The scores of one file.
#[derive(Debug, Serialize)]
pub(super) struct TaskScores {
    task: String,
    /// The file's name: its folder would make other bytes on another machine.
    file: String,
    rows: usize,
    /// The means, in percent.
    scores: BTreeMap<&'static str, f64>,
    /// What each row scores, from 0 to 1, in the order of the file.
    row_scores: Vec<BTreeMap<&'static str, f64>>,
}

/// Runs the command.
pub(crate) fn score(ui: &Ui, args: &ScoreArgs) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &args.predictions {
        files.extend(files_of(path)?);
    }
    let scored = files
        .iter()
        .map(|path| scores_of(path, &args.metric, args.task))
        .collect::<Result<_, _>>()?;
    let scored = Scored(scored);
    if let Some(out) = &args.out {
        write_scores(&scored, out)?;
    }
    ui.emit(&scored)
}

/// Writes `scores.json` into a folder.
pub(super) fn write_scores(scored: &Scored, out: &Path) -> Result<(), Failure> {
    write_json(&out.join(SCORES_FILE), scored)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}

/// Returns a file itself, and of a folder its files of JSON lines.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let refused = |wrong: std::io::Error| {
        Failure::message(Kind::Failed, format!("{}: cannot read: {wrong}", path.display()))
    };
    let entries = fs::read_dir(path).map_err(refused)?;
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    let is_lines = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "jsonl");
    let mut files: Vec<PathBuf> = paths.into_iter().filter(is_lines).collect();
    files.sort();
    if files.is_empty() {
        let message = format!("{}: has no .jsonl file of predictions", path.display());
        let hint = "`ratdata generate RUN --input ARTIFACT` writes predictions";
        return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
    }
    Ok(files)
}

/// Scores a file of predictions by `metrics`, or by that of the task; without a task, by that which the
/// file's name says.
pub(super) fn scores_of(
    path: &Path,
    metrics: &[Metric],
    task: Option<Task>,
) -> Result<TaskScores, Failure> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let task = task.or_else(|| name.parse().ok());
    let metrics = match (metrics, task) {
        ([], Some(task)) => vec![task.metric()],
        ([], None) => {
            let message = format!("{}: `{name}` is no task that has a metric", path.display());
            let hint = "choose one, such as `--metric f1`, or name the task with `--task`";
            return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
        }
        (metrics, _) => metrics.to_vec(),
    };
    let predictions = read_predictions(path)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    if metrics.contains(&Metric::Classification) {
        have_classes(path, &predictions)?;
    }
    let row_scores: Vec<BTreeMap<&'static str, f64>> = predictions
        .iter()
        .map(|row| {
            let text = task.map_or(row.pred.as_str().into(), |task| task.compared(&row.pred));
            let score = |metric: &Metric| metric.score(&text, &row.answers, &row.all_classes);
            metrics.iter().map(|metric| (metric.name(), score(metric))).collect()
        })
        .collect();
    let mean =
        |name: &str| mean_percent(&row_scores.iter().map(|row| row[name]).collect::<Vec<_>>());
    let scores = metrics.iter().map(|metric| (metric.name(), mean(metric.name()))).collect();
    let task = task.map_or(name, |task| task.to_string());
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(TaskScores { task, file, rows: predictions.len(), scores, row_scores })
}

fn have_classes(path: &Path, predictions: &[Prediction]) -> Result<(), Failure> {
    let Some(row) = predictions.iter().find(|row| row.all_classes.is_empty()) else {
        return Ok(());
    };
    let message = format!("{}:{}: the row has no `all_classes`", path.display(), row.line);
    let hint = "`classification` needs the names of all classes in each row";
    Err(Failure::message(Kind::Failed, message).hinted(Some(hint)))
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|task| task.task.chars().count()).max().unwrap_or(0).max(4);
        write!(f, "{:width$}  {:>6}  {:17}  {:>6}", "task", "rows", "metric", "score")?;
        for task in &self.0 {
            for (metric, score) in &task.scores {
                let TaskScores { task, rows, .. } = task;
                write!(f, "\n{task:width$}  {rows:>6}  {metric:17}  {score:>6.2}")?;
            }
        }
        Ok(())
    }
}

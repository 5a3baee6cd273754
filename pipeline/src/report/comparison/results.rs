//! What folders hold of models: training runs, scores, and speeds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::report::runs::{self, MetricsLine};

/// The scores of `score` and of `eval`.
const SCORES: &str = "scores.json";
/// The throughput of `bench model`.
const SPEEDS: &str = "model.json";

const HINT: &str = "name the folder of a training run, or what `score --out` or `eval` has written";

/// A model's name and a folder that says something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFolder {
    pub(crate) model: String,
    pub(crate) folder: PathBuf,
}

/// What is known of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelResults {
    pub(super) name: String,
    /// The metrics of its training runs.
    pub(super) runs: Vec<Vec<MetricsLine>>,
    pub(super) scores: Vec<Score>,
}

/// A model's score in one task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Score {
    /// Who asked the task.
    pub(super) from: String,
    pub(super) task: String,
    pub(super) metric: String,
    pub(super) rows: Option<u64>,
    /// In percent, where the metric is a share.
    pub(super) value: f64,
}

/// The throughput of a model while decoding.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Speed {
    /// The model's layers.
    pub(super) model: String,
    pub(super) batch: u64,
    pub(super) cache_bytes: u64,
    pub(super) tokens_per_second: f64,
}

impl FromStr for NamedFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((model, folder)) if !model.is_empty() && !folder.is_empty() => {
                Ok(Self { model: model.to_owned(), folder: folder.into() })
            }
            _ => Err("expected a model's name and a folder, such as `rat=runs/tiny-rat`".into()),
        }
    }
}

/// Reads all folders, and returns the models in the order of their first folders.
pub(super) fn read_all(named: &[NamedFolder]) -> Result<Vec<ModelResults>, Failure> {
    let mut models: Vec<ModelResults> = Vec::new();
    for NamedFolder { model: name, folder } in named {
        let at = models.iter().position(|model| model.name == *name).unwrap_or_else(|| {
            models.push(ModelResults { name: name.clone(), ..ModelResults::default() });
            models.len() - 1
        });
        models[at].read(folder)?;
    }
    Ok(models)
}

impl ModelResults {
    /// Adds what a folder holds.
    fn read(&mut self, folder: &Path) -> Result<(), Failure> {
        let scores = folder.join(SCORES);
        let has_scores = scores.is_file();
        if has_scores {
            self.scores.extend(read_scores(&scores)?);
        }
        if runs::is_run(folder) {
            let failed = |wrong: std::io::Error| {
                let message = format!("{}: cannot read its metrics: {wrong}", folder.display());
                Failure::message(Kind::Failed, message)
            };
            self.runs.push(runs::metrics(folder).map_err(failed)?);
        } else if !has_scores {
            let found = if folder.exists() { "holds no results" } else { "not there" };
            let message = format!(
                "{}: {found}, expected {SCORES} or {} in a folder",
                folder.display(),
                runs::METRICS
            );
            return Err(Failure::message(Kind::Usage, message).hinted(Some(HINT)));
        }
        Ok(())
    }
}

/// The throughputs of models of one size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Speeds {
    width: u64,
    blocks: u64,
    context: u64,
    new: u64,
    pub(super) rows: Vec<Speed>,
}

impl Speeds {
    /// Returns whether the models are as large as the paper's, and decode as much.
    pub(super) fn are_as_the_papers(&self) -> bool {
        let Self { width, blocks, context, new, .. } = self;
        (*width, *blocks, *context, *new) == (2048, 24, 4096, 1024)
    }

    /// Says what was measured.
    pub(super) fn size(&self) -> String {
        let Self { width, blocks, context, new, .. } = self;
        format!("{blocks} blocks of width {width}; {new} new tokens, {context} at the end")
    }
}

/// Reads the throughputs that `bench model` has written into a folder.
pub(super) fn read_speeds(folder: &Path) -> Result<Speeds, Failure> {
    let path = folder.join(SPEEDS);
    if !path.is_file() {
        let message = format!("{}: not there", path.display());
        let hint = "`ratdata bench model --out DIR` writes it";
        return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
    }
    parse(&path, read_json(&path)?)
}

/// The scores of one file of predictions.
#[derive(Deserialize)]
struct TaskScores {
    task: String,
    rows: u64,
    scores: BTreeMap<String, f64>,
}

/// What a harness found.
#[derive(Deserialize)]
struct HarnessScores {
    harness: String,
    scores: Vec<HarnessScore>,
}

#[derive(Deserialize)]
struct HarnessScore {
    task: String,
    metric: String,
    value: f64,
    rows: Option<u64>,
}

/// Reads the scores of `score`, which are a list, or of a harness.
fn read_scores(path: &Path) -> Result<Vec<Score>, Failure> {
    let value = read_json(path)?;
    if value.is_array() {
        let tasks: Vec<TaskScores> = parse(path, value)?;
        return Ok(tasks.into_iter().flat_map(TaskScores::each).collect());
    }
    let HarnessScores { harness, scores } = parse(path, value)?;
    let score = |found: HarnessScore| {
        let value = if is_share(&found.metric) { 100.0 * found.value } else { found.value };
        let HarnessScore { task, metric, rows, .. } = found;
        Score { from: harness.clone(), task, metric, rows, value }
    };
    Ok(scores.into_iter().map(score).collect())
}

impl TaskScores {
    fn each(self) -> impl Iterator<Item = Score> {
        let Self { task, rows, scores } = self;
        let from = if task.starts_with("longbench/") { "LongBench" } else { "instruction data" };
        scores.into_iter().map(move |(metric, value)| Score {
            from: from.to_owned(),
            task: task.clone(),
            metric,
            rows: Some(rows),
            value,
        })
    }
}

/// Returns whether a metric of the harness is a share of one; the others are perplexities and bits.
fn is_share(metric: &str) -> bool {
    !metric.contains("perplexity") && !metric.starts_with("bits")
}

fn read_json(path: &Path) -> Result<Value, Failure> {
    let wrong = |wrong: String| {
        Failure::message(Kind::Failed, format!("{}: cannot read: {wrong}", path.display()))
    };
    let bytes = fs::read(path).map_err(|found| wrong(found.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|found| wrong(found.to_string()))
}

fn parse<T: DeserializeOwned>(path: &Path, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|wrong| {
        let message = format!("{}: is not what ratdata writes: {wrong}", path.display());
        Failure::message(Kind::Failed, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_a_model() {
        let named: NamedFolder = "rat=runs/a=b".parse().unwrap();

        assert_eq!((named.model.as_str(), named.folder), ("rat", PathBuf::from("runs/a=b")));
        for text in ["runs/rat", "=runs", "rat="] {
            assert!(text.parse::<NamedFolder>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_told_from_perplexities() {
        let shares = ["acc", "acc_norm", "512", "exact_match,strict", "f1"].map(is_share);
        let others = ["word_perplexity", "byte_perplexity", "bits_per_byte"].map(is_share);

        assert_eq!((shares, others), ([true; 5], [false; 3]));
    }
}

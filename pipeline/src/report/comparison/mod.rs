//! The comparison: one page with the losses, scores and speeds of several models, and the paper's figures
//! next to them.
//!
//! ```text
//! results.rs   folders -> what is known of each model      paper.rs   the paper's figures
//!   -> here    the numbers as they are compared, in JSON
//!   -> page.rs tables and plots
//! ```

mod page;
mod paper;
mod results;

use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;
use crate::report::runs::MetricsLine;
pub(crate) use paper::Paper;
pub(crate) use results::NamedFolder;
use results::{ModelResults, Score, Speed, Speeds, read_all, read_speeds};

/// The numbers of all models.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    models: Vec<String>,
    training: Vec<TrainingRow>,
    scores: Vec<ScoreRow>,
    speeds: Option<SpeedPart>,
    /// Whether the paper's figures were asked for.
    #[serde(skip)]
    has_paper: bool,
    /// The curves of each run.
    #[serde(skip)]
    curves: Vec<Curve>,
}

/// How a training run ended.
#[derive(Clone, Debug, Serialize)]
struct TrainingRow {
    model: String,
    iterations: u64,
    tokens: u64,
    loss: Option<f64>,
    val_loss: Option<f64>,
    perplexity: Option<f64>,
    paper_perplexity: Option<f64>,
    tokens_per_second: Option<f64>,
}

/// The scores of all models in a task, or a mean over tasks.
#[derive(Clone, Debug, Serialize)]
struct ScoreRow {
    from: String,
    task: String,
    metric: String,
    rows: Option<u64>,
    /// In the order of the models.
    values: Vec<ScoreValue>,
}

/// The score of one model; in percent where the metric is a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct ScoreValue {
    value: Option<f64>,
    paper: Option<f64>,
}

/// The throughputs of models of one size while decoding.
#[derive(Clone, Debug, Serialize)]
struct SpeedPart {
    /// What was measured.
    size: String,
    rows: Vec<SpeedRow>,
}

/// The throughput of a model while decoding.
#[derive(Clone, Debug, Serialize)]
struct SpeedRow {
    layers: String,
    batch: u64,
    cache_bytes: u64,
    tokens_per_second: f64,
    paper_tokens_per_second: Option<f64>,
}

/// The losses of a run.
#[derive(Clone, Debug)]
struct Curve {
    model: String,
    lines: Vec<MetricsLine>,
}

impl Comparison {
    /// Reads the folders of all models, and of the bench where there is one.
    pub(crate) fn of(
        named: &[NamedFolder],
        speed: Option<&Path>,
        paper: Option<&Paper>,
    ) -> Result<Self, Failure> {
        let models = read_all(named)?;
        let speeds = speed.map(read_speeds).transpose()?;
        let runs = || {
            models
                .iter()
                .flat_map(|model| model.runs.iter().enumerate().map(move |run| (model, run)))
        };
        let training = runs().map(|(model, (number, lines))| {
            // The paper's is that of pretraining, which comes first.
            let paper = paper.filter(|_| number == 0);
            TrainingRow::new(&model.name, lines, paper)
        });
        let curve = |(model, (_, lines)): (&ModelResults, (usize, &Vec<MetricsLine>))| Curve {
            model: model.name.clone(),
            lines: lines.clone(),
        };
        let mut scores = scores_of(&models, paper);
        if let Some(paper) = paper {
            add_means(&mut scores, &models, paper);
        }
        Ok(Self {
            training: training.collect(),
            scores,
            speeds: speeds.map(|speeds| SpeedPart::new(speeds, paper)),
            has_paper: paper.is_some(),
            curves: runs().map(curve).collect(),
            models: models.into_iter().map(|model| model.name).collect(),
        })
    }

    /// Returns how many models, runs and tasks there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.models.len(), self.training.len(), self.scores.len())
    }
}

impl TrainingRow {
    fn new(model: &str, lines: &[MetricsLine], paper: Option<&Paper>) -> Self {
        let last = |value: fn(&MetricsLine) -> Option<f64>| lines.iter().rev().find_map(value);
        let tokens = lines.iter().map(|line| line.tokens).max().unwrap_or(0);
        let val_loss = last(|line| line.val_loss);
        Self {
            model: model.to_owned(),
            iterations: lines.iter().map(|line| line.iteration).max().unwrap_or(0),
            tokens,
            loss: last(|line| line.loss),
            val_loss,
            perplexity: val_loss.map(f64::exp),
            paper_perplexity: paper.and_then(|paper| paper.perplexity(model)),
            tokens_per_second: last(|line| line.seconds)
                .filter(|seconds| *seconds > 0.0)
                .map(|seconds| tokens as f64 / seconds),
        }
    }
}

impl SpeedPart {
    fn new(speeds: Speeds, paper: Option<&Paper>) -> Self {
        let paper = paper.filter(|_| speeds.are_as_the_papers());
        let row = |speed: Speed| {
            let Speed { model, batch, cache_bytes, tokens_per_second } = speed;
            let paper_tokens_per_second = paper.and_then(|paper| paper.throughput(&model));
            SpeedRow {
                layers: model,
                batch,
                cache_bytes,
                tokens_per_second,
                paper_tokens_per_second,
            }
        };
        Self { size: speeds.size(), rows: speeds.rows.into_iter().map(row).collect() }
    }
}

/// Returns a row for each task and metric that a model has, in the order in which they are found.
fn scores_of(models: &[ModelResults], paper: Option<&Paper>) -> Vec<ScoreRow> {
    let mut rows: Vec<ScoreRow> = Vec::new();
    for score in models.iter().flat_map(|model| &model.scores) {
        let Score { from, task, metric, .. } = score;
        if rows.iter().any(|row| row.from == *from && row.task == *task && row.metric == *metric) {
            continue;
        }
        let found = |model: &ModelResults| {
            let mut scores = model.scores.iter();
            scores.find(|s| s.from == *from && s.task == *task && s.metric == *metric).cloned()
        };
        let values = models.iter().map(|model| ScoreValue {
            value: found(model).map(|score| score.value),
            paper: paper.and_then(|paper| paper.score(&model.name, task, metric)),
        });
        rows.push(ScoreRow {
            from: from.clone(),
            task: task.clone(),
            metric: metric.clone(),
            rows: score.rows,
            values: values.collect(),
        });
    }
    // What was asked by one side by side; tasks keep their order.
    let mut sides: Vec<String> = Vec::new();
    for row in &rows {
        if !sides.contains(&row.from) {
            sides.push(row.from.clone());
        }
    }
    rows.sort_by_key(|row| sides.iter().position(|side| *side == row.from));
    rows
}

/// Adds the paper's means over tasks, each behind the tasks of its side. A model has a mean where it has
/// all of the tasks.
fn add_means(rows: &mut Vec<ScoreRow>, models: &[ModelResults], paper: &Paper) {
    for mean in paper.means() {
        let is_of = |row: &ScoreRow| mean.tasks.contains(&row.task) && row.metric == mean.metric;
        let Some(from) = rows.iter().find(|row| is_of(row)).map(|row| row.from.clone()) else {
            continue;
        };
        let value = |at: usize| {
            let task = |task: &String| {
                let row = rows.iter().find(|row| row.task == *task && row.metric == mean.metric)?;
                row.values[at].value
            };
            let values: Option<Vec<f64>> = mean.tasks.iter().map(task).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let values = models.iter().enumerate();
        let values = values
            .map(|(at, model)| ScoreValue { value: value(at), paper: mean.of(&model.name) })
            .collect();
        let place = rows.iter().rposition(|row| row.from == from).map_or(rows.len(), |at| at + 1);
        let row = ScoreRow {
            from,
            task: format!("mean of {}", mean.name),
            metric: mean.metric.clone(),
            rows: None,
            values,
        };
        rows.insert(place, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, scores: &[(&str, f64)]) -> ModelResults {
        let score = |&(task, value): &(&str, f64)| Score {
            from: "LongBench".into(),
            task: format!("longbench/{task}"),
            metric: "code-sim".into(),
            rows: Some(2),
            value,
        };
        let scores = scores.iter().map(score).collect();
        ModelResults { name: name.into(), runs: Vec::new(), scores }
    }

    #[test]
    fn a_mean_needs_all_of_its_tasks_and_stands_next_to_the_papers() {
        let whole = model("rat-xl", &[("lcc", 10.0), ("repobench-p", 20.0)]);
        let models = [whole, model("own", &[("lcc", 12.0)])];
        let paper = Paper::rat();

        let mut rows = scores_of(&models, Some(&paper));
        add_means(&mut rows, &models, &paper);

        let names: Vec<_> = rows.iter().map(|row| row.task.as_str()).collect();
        let value = |value, paper| ScoreValue { value, paper };
        assert_eq!(names, ["longbench/lcc", "longbench/repobench-p", "mean of LongBench: code"]);
        assert_eq!(rows[0].values, [value(Some(10.0), None), value(Some(12.0), None)]);
        assert_eq!(rows[2].values, [value(Some(15.0), Some(17.4)), value(None, None)]);
    }
}

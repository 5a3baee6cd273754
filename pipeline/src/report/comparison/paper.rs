//! The figures of the RAT paper, by model and task.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The paper's figures, as far as they are public.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paper {
    /// Validation perplexities by model.
    perplexity: BTreeMap<String, f64>,
    /// Tokens a second while decoding, by layers.
    throughput: BTreeMap<String, f64>,
    score: Vec<TaskFigures>,
    mean: Vec<MeanFigures>,
}

/// Figures of one task by model, in percent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFigures {
    task: String,
    metric: String,
    models: BTreeMap<String, f64>,
}

/// Means over several tasks by model, in percent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeanFigures {
    pub(super) name: String,
    pub(super) metric: String,
    pub(super) tasks: Vec<String>,
    models: BTreeMap<String, f64>,
}

impl Paper {
    /// Returns the figures that are compiled in.
    pub(crate) fn rat() -> Self {
        let text = include_str!("../../../../configs/paper/rat.toml");
        toml::from_str(text).unwrap_or_else(|wrong| unreachable!("configs/paper/rat.toml: {wrong}"))
    }

    /// Returns the validation perplexity of a model.
    pub(super) fn perplexity(&self, model: &str) -> Option<f64> {
        self.perplexity.get(model).copied()
    }

    /// Returns the tokens a second of a model with these layers.
    pub(super) fn throughput(&self, layers: &str) -> Option<f64> {
        self.throughput.get(layers).copied()
    }

    /// Returns the score of a model in a task.
    pub(super) fn score(&self, model: &str, task: &str, metric: &str) -> Option<f64> {
        let found = self.score.iter().find(|found| found.task == task && found.metric == metric)?;
        found.models.get(model).copied()
    }

    /// Returns the means that it has.
    pub(super) fn means(&self) -> &[MeanFigures] {
        &self.mean
    }
}

impl MeanFigures {
    /// Returns the figure of a model.
    pub(super) fn of(&self, model: &str) -> Option<f64> {
        self.models.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use ratdata_score::Task;

    use super::*;

    #[test]
    fn the_figures_are_of_tasks_and_models_that_there_are() {
        let paper = Paper::rat();
        let pipeline = include_str!("../../../../configs/pipeline/rat.toml");
        let models = paper.score.iter().flat_map(|figures| figures.models.keys());
        let models = models.chain(paper.mean.iter().flat_map(|mean| mean.models.keys()));

        for model in models.chain(paper.perplexity.keys()) {
            assert!(pipeline.contains(&format!("\"{model}=@{model}\"")), "{model}");
        }
        for figures in &paper.score {
            let task: Task = figures.task.parse().unwrap();
            assert_eq!(task.metric().name(), figures.metric);
        }
        for task in paper.mean.iter().flat_map(|mean| &mean.tasks) {
            let known = task.parse::<Task>().is_ok() || pipeline.contains(&format!("\"{task}\""));
            assert!(known, "{task}");
        }
        assert_eq!(paper.score("rat-xl", "qmsum", "rouge-l"), Some(23.3));
        assert_eq!(paper.score("rat-xl", "qmsum", "f1"), None);
    }
}

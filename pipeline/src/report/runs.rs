//! Training runs that belong to an artifact, with their curves.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_console::grouped;
use serde::{Deserialize, Serialize};

use super::lineage::Node;
use ratdata_console::{Plot, Scale, Series, amount};

/// The measurements of a run, one JSON object a line, and the configuration that it ran with.
pub(super) const METRICS: &str = "metrics.jsonl";
const RESOLVED: &str = "resolved.toml";

/// The most points of a curve; of more points, a part is drawn.
const MOST_POINTS: usize = 600;

/// One line of the measurements; a field that is missing was not measured.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct MetricsLine {
    pub(super) iteration: u64,
    #[serde(default)]
    pub(super) tokens: u64,
    pub(super) loss: Option<f64>,
    pub(super) val_loss: Option<f64>,
    lr: Option<f64>,
    grad_norm: Option<f64>,
    pub(super) seconds: Option<f64>,
}

/// A run as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShownRun {
    name: String,
    facts: Vec<(String, String)>,
    plots: Vec<Plot>,
}

/// Returns whether a folder holds a training run.
pub(crate) fn is_run(folder: &Path) -> bool {
    folder.join(METRICS).is_file()
}

/// Returns the artifacts that a run read, according to its configuration.
pub(crate) fn data_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string(folder.join(RESOLVED)) else { return Vec::new() };
    let Ok(config) = text.parse::<toml::Table>() else { return Vec::new() };
    let Some(data) = config.get("data") else { return Vec::new() };
    let path = |value: &toml::Value| value.get("path")?.as_str().map(PathBuf::from);
    let sources = data.get("sources").and_then(toml::Value::as_table);
    path(data)
        .into_iter()
        .chain(sources.into_iter().flatten().filter_map(|(_, s)| path(s)))
        .collect()
}

/// Finds the runs in the same folder as an artifact that read it, in the order of their names.
pub(crate) fn next_to(root: &Path) -> Vec<PathBuf> {
    let Ok(real) = root.canonicalize() else { return Vec::new() };
    let Some(entries) = real.parent().and_then(|above| fs::read_dir(above).ok()) else {
        return Vec::new();
    };
    let reads = |folder: &PathBuf| {
        is_run(folder)
            && data_of(folder).iter().any(|data| {
                let near = folder.parent().map(|above| above.join(data));
                [Some(data.clone()), near]
                    .into_iter()
                    .flatten()
                    .any(|path| path.canonicalize().is_ok_and(|path| path == real))
            })
    };
    let mut runs: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(reads).collect();
    runs.sort();
    runs
}

/// Reads a run's measurements, without a last line that a crash has cut.
pub(super) fn metrics(folder: &Path) -> std::io::Result<Vec<MetricsLine>> {
    let text = fs::read(folder.join(METRICS))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).collect())
}

/// Returns the points of a curve, with iterations to the right.
pub(super) fn curve(
    lines: &[MetricsLine],
    value: fn(&MetricsLine) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let points = lines.iter().filter_map(|line| Some((line.iteration as f64, value(line)?)));
    thinned(points.collect())
}

/// Reads a run as the page shows it.
pub(crate) fn read(folder: &Path) -> std::io::Result<ShownRun> {
    let lines = metrics(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let points = |value: fn(&MetricsLine) -> Option<f64>| curve(&lines, value);
    let loss = Series { name: "training loss".into(), points: points(|line| line.loss) };
    let val_loss = Series { name: "validation loss".into(), points: points(|line| line.val_loss) };
    let lr = Series { name: "learning rate".into(), points: points(|line| line.lr) };
    let norm = Series { name: "gradient norm".into(), points: points(|line| line.grad_norm) };
    let linear = (Scale::Linear, Scale::Linear);
    let last = |value: fn(&MetricsLine) -> Option<f64>| lines.iter().rev().find_map(value);
    let mut facts =
        vec![("iterations".to_owned(), grouped(lines.last().map_or(0, |line| line.iteration)))];
    facts.push(("tokens read".into(), grouped(lines.iter().map(|l| l.tokens).max().unwrap_or(0))));
    let told = [
        ("last loss", last(|line| line.loss)),
        ("last validation loss", last(|line| line.val_loss)),
        ("perplexity", last(|line| line.val_loss).map(f64::exp)),
        ("minutes", last(|line| line.seconds).map(|seconds| seconds / 60.0)),
    ];
    for (what, value) in told {
        facts.extend(value.map(|value| (what.to_owned(), amount(value))));
    }
    let mut losses = vec![loss];
    if !val_loss.points.is_empty() {
        losses.push(val_loss);
    }
    let mut plots = vec![
        Plot::lines("Loss", "iteration", linear, &losses).noted("nats a token"),
        Plot::lines("Learning rate", "iteration", linear, &[lr]),
    ];
    if !norm.points.is_empty() {
        plots.push(Plot::lines("Gradient norm", "iteration", (Scale::Linear, Scale::Log), &[norm]));
    }
    Ok(ShownRun { name, facts, plots })
}

impl ShownRun {
    /// Returns the run as a box of the graph.
    pub(crate) fn node(&self) -> Node {
        let told: Vec<String> =
            self.facts.iter().take(3).map(|(what, value)| format!("{what} {value}")).collect();
        Node {
            kind: "run",
            name: format!("train → {}", self.name),
            about: told.join(", "),
            settings: String::new(),
        }
    }
}

/// Keeps the first and last point, and evenly spaced points between them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    (0..MOST_POINTS).map(|at| points[at * (points.len() - 1) / (MOST_POINTS - 1)]).collect()
}

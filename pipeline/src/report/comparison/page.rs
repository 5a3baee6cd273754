//! The comparison as a page: its tables and plots.

use ratdata_console::{Plot, Scale, Series};
use serde::Serialize;

use super::{Comparison, ScoreRow, SpeedPart, SpeedRow};
use crate::failure::Failure;
use crate::report::page::{Template, render};
use crate::report::runs::{MetricsLine, curve};
use crate::report::tables::{Cell, Table};

/// What the page shows.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    title: String,
    version: &'static str,
    models: &'a [String],
    has_paper: bool,
    training: Option<Table>,
    curves: Vec<Plot>,
    scores: Vec<Table>,
    speeds: Option<Table>,
}

impl Comparison {
    /// Writes the page.
    pub(crate) fn page(&self) -> Result<String, Failure> {
        // The rows of a side stand together.
        let mut sides: Vec<&str> = self.scores.iter().map(|row| row.from.as_str()).collect();
        sides.dedup();
        let side = |side: &str| {
            let rows: Vec<&ScoreRow> = self.scores.iter().filter(|row| row.from == side).collect();
            self.score_table(side, &rows)
        };
        let shown = Shown {
            title: self.models.join(", "),
            version: env!("CARGO_PKG_VERSION"),
            models: &self.models,
            has_paper: self.has_paper,
            training: self.training_table(),
            curves: self.curves(),
            scores: sides.into_iter().map(side).collect(),
            speeds: self.speed_table(),
        };
        render(Template::Comparison, &shown)
    }

    fn training_table(&self) -> Option<Table> {
        let papers = self.training.iter().any(|row| row.paper_perplexity.is_some());
        let rows = self.training.iter().map(|row| {
            let mut cells = vec![
                Cell::text(&row.model),
                Cell::count(row.iterations),
                Cell::count(row.tokens),
                Cell::number(row.loss),
                Cell::number(row.val_loss),
                Cell::decimals(row.perplexity, 2),
            ];
            if papers {
                cells.push(Cell::decimals(row.paper_perplexity, 2));
            }
            cells.push(Cell::decimals(row.tokens_per_second, 0));
            cells
        });
        let mut head =
            vec!["model", "iterations", "tokens", "loss", "validation loss", "perplexity"];
        head.extend(papers.then_some("paper"));
        head.push("tokens a second");
        (!self.training.is_empty()).then(|| Table::new("Training", &head, rows.collect()))
    }

    fn curves(&self) -> Vec<Plot> {
        let linear = (Scale::Linear, Scale::Linear);
        let drawn = |title: &str, value: fn(&MetricsLine) -> Option<f64>| {
            let series: Vec<Series> = self
                .curves
                .iter()
                .map(|run| Series { name: run.model.clone(), points: curve(&run.lines, value) })
                .filter(|series| !series.points.is_empty())
                .collect();
            let plot = Plot::lines(title, "iteration", linear, &series).noted("nats a token");
            (!series.is_empty()).then_some(plot)
        };
        let plots = [
            drawn("Training loss", |line| line.loss),
            drawn("Validation loss", |line| line.val_loss),
        ];
        plots.into_iter().flatten().collect()
    }

    /// Returns the table of one side's tasks: a column for each model, and one for the paper's figures of
    /// each model that has some.
    fn score_table(&self, side: &str, rows: &[&ScoreRow]) -> Table {
        let models = || self.models.iter().enumerate();
        let papers: Vec<bool> =
            models().map(|(at, _)| rows.iter().any(|row| row.values[at].paper.is_some())).collect();
        let mut head = vec!["task", "metric", "rows"];
        for (at, model) in models() {
            head.push(model);
            head.extend(papers[at].then_some("paper"));
        }
        let cells = |row: &&ScoreRow| {
            let rows = row.rows.map_or_else(Cell::unknown, Cell::count);
            let mut cells = vec![Cell::text(&row.task), Cell::text(&row.metric), rows];
            for (value, &paper) in row.values.iter().zip(&papers) {
                cells.push(Cell::decimals(value.value, 2));
                cells.extend(paper.then(|| Cell::decimals(value.paper, 1)));
            }
            cells
        };
        Table::new(side, &head, rows.iter().map(cells).collect())
    }

    fn speed_table(&self) -> Option<Table> {
        let SpeedPart { size, rows } = self.speeds.as_ref()?;
        let papers = rows.iter().any(|row| row.paper_tokens_per_second.is_some());
        let cells = |row: &SpeedRow| {
            let mut cells = vec![
                Cell::text(&row.layers),
                Cell::count(row.batch),
                Cell::bytes(row.cache_bytes),
                Cell::decimals(Some(row.tokens_per_second), 0),
            ];
            cells.extend(papers.then(|| Cell::decimals(row.paper_tokens_per_second, 0)));
            cells
        };
        let mut head = vec!["layers", "batch", "cache a sequence", "tokens a second"];
        head.extend(papers.then_some("paper"));
        Some(Table::new(size, &head, rows.iter().map(cells).collect()))
    }
}

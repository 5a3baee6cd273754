//! The numbers of splits and sources as facts, plots and tables.

use std::collections::BTreeMap;

use ratdata_console::{Plot, Scale, Series, amount};
use ratdata_schemas::{Manifest, SplitRecord};
use serde::Serialize;

use super::samples::visible;
use crate::inspect::{IdCount, Inspection, SplitView};
use ratdata_console::{grouped, sized};

/// The most lines of a table; a longer one is cut, with a note.
const MOST_ROWS: usize = 2000;

/// A table whose columns can be sorted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    title: String,
    open: bool,
    head: Vec<String>,
    /// Which columns hold numbers, and are aligned to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<Cell>>,
    note: String,
}

/// A cell: its text and, for a number, its value for sorting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    text: String,
    order: Option<f64>,
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self { text: visible(text), order: None }
    }

    pub(crate) fn count(count: u64) -> Self {
        Self { text: grouped(count), order: Some(count as f64) }
    }

    pub(super) fn unknown() -> Self {
        Self { text: "–".into(), order: Some(0.0) }
    }

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self { text: sized(bytes), order: Some(bytes as f64) }
    }

    pub(crate) fn number(number: Option<f64>) -> Self {
        Self::decimals(number, 3)
    }

    /// A number with so many decimals; whole numbers have their digits in groups.
    pub(crate) fn decimals(number: Option<f64>, decimals: usize) -> Self {
        let shown = |number: f64| {
            let text = format!("{number:.decimals$}");
            // A perplexity may be too large for digits.
            let large = number.abs() >= 1e12;
            if large { format!("{number:.3e}") } else { text.parse().map_or(text, grouped) }
        };
        Self {
            text: number.map_or_else(|| "–".into(), shown),
            order: Some(number.filter(|number| number.is_finite()).unwrap_or(0.0)),
        }
    }
}

impl Table {
    pub(crate) fn new(title: &str, head: &[&str], mut rows: Vec<Vec<Cell>>) -> Self {
        let all = rows.len();
        rows.truncate(MOST_ROWS);
        let note = if all > MOST_ROWS {
            format!("the first {MOST_ROWS} of {}", grouped(all as u64))
        } else {
            String::new()
        };
        let is_number = |column: usize| {
            rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.order.is_some()))
        };
        let numbers = (0..head.len()).map(is_number).collect();
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Self { title: title.to_owned(), open: all <= 12, head, numbers, rows, note }
    }
}

/// The facts at the top of the page.
pub(crate) fn facts_of(
    inspection: &Inspection,
    manifest: Option<&Manifest>,
) -> Vec<(String, String)> {
    let sum = |of: fn(&SplitView) -> u64| grouped(inspection.splits.iter().map(of).sum());
    // If the number of one split is not known, the sum is not known.
    let documents: Option<u64> = inspection.splits.iter().map(|split| split.documents).sum();
    let documents = documents.map_or_else(|| "unknown".into(), grouped);
    let mut facts = vec![
        ("tokens".to_owned(), sum(|split| split.tokens)),
        ("documents".into(), documents),
        ("on disk".into(), sized(inspection.splits.iter().map(|split| split.bytes).sum())),
        ("ids".into(), inspection.dtype.clone()),
    ];
    if let Some(name) = &inspection.tokenizer {
        facts.push(("tokenizer".into(), name.clone()));
    }
    if let Some(size) = inspection.vocab_size {
        facts.push(("vocabulary".into(), grouped(size.into())));
    }
    let ratio = inspection.splits.iter().find_map(|split| split.bytes_per_token);
    if let Some(ratio) = ratio {
        facts.push(("bytes a token".into(), format!("{ratio:.3}")));
    }
    let bad: u64 =
        manifest.map_or(0, |manifest| manifest.sources.iter().map(|source| source.bad_rows).sum());
    if bad > 0 {
        facts.push(("rows left out".into(), grouped(bad)));
    }
    facts
}

/// The section of the page about one split.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SplitPart {
    name: String,
    layout: &'static str,
    facts: Vec<(String, String)>,
    plots: Vec<Plot>,
    tables: Vec<Table>,
}

impl SplitPart {
    /// Summarizes one split.
    pub(crate) fn of(view: &SplitView, vocab_size: Option<u32>) -> Self {
        let mut part = Self {
            name: view.name.clone(),
            layout: view.layout,
            facts: facts_of_split(view, vocab_size),
            plots: Vec::new(),
            tables: Vec::new(),
        };
        part.add_lengths(view);
        part.add_ids(view);
        part.add_shards(view);
        part.add_rows(view);
        part
    }

    fn add_lengths(&mut self, view: &SplitView) {
        if let Some(lengths) = &view.lengths {
            let bins: Vec<(String, f64)> = lengths
                .powers
                .iter()
                .map(|(from, below, count)| (range(*from, *below), *count as f64))
                .collect();
            self.plots.push(Plot::bars("Document lengths", "tokens a document", &bins));
            let mut rows = vec![vec![Cell::text("mean"), Cell::number(Some(lengths.mean))]];
            rows.extend(lengths.percentiles.iter().map(|(share, length)| {
                let name = if *share >= 1.0 {
                    "longest".to_owned()
                } else {
                    format!("{:.0}% are no longer than", share * 100.0)
                };
                vec![Cell::text(&name), Cell::count(*length)]
            }));
            self.tables.push(Table::new("Document lengths", &["share", "tokens"], rows));
        }
    }

    fn add_ids(&mut self, view: &SplitView) {
        if !view.ids.curve.is_empty() {
            let points =
                view.ids.curve.iter().map(|&(rank, count)| (rank as f64, count as f64)).collect();
            let series = [Series { name: "count".into(), points }];
            let logs = (Scale::Log, Scale::Log);
            self.plots.push(Plot::lines("How often ids occur", "rank of the id", logs, &series));
        }
        let ids = |title: &str, ids: &[IdCount]| {
            let row = |id: &IdCount| {
                vec![
                    Cell { text: id.id.to_string(), order: Some(id.id.into()) },
                    Cell::text(id.piece.as_deref().unwrap_or("–")),
                    Cell::count(id.count),
                    Cell {
                        text: rare(id.count as f64 / view.tokens.max(1) as f64),
                        order: Some(id.count as f64),
                    },
                ]
            };
            let head = ["id", "piece", "count", "share"];
            Table::new(title, &head, ids.iter().map(row).collect())
        };
        self.tables.push(ids("Most frequent ids", &view.ids.most));
        self.tables.push(ids("Least frequent ids", &view.ids.least));
    }

    /// Draws how the positions of rows are used.
    fn add_rows(&mut self, view: &SplitView) {
        let Some(rows) = &view.rows else { return };
        let trained = rows.trained_share();
        let padding = rows.padding();
        let bars = [
            ("trained on".to_owned(), trained * 100.0),
            ("masked".into(), (1.0 - trained - padding).max(0.0) * 100.0),
            ("padding".into(), padding * 100.0),
        ];
        let plot = Plot::bars("What rows hold", "places of all rows", &bars);
        self.plots.push(plot.noted("percent"));
    }

    fn add_shards(&mut self, view: &SplitView) {
        if view.shards.len() > 1 {
            let bars: Vec<(String, f64)> = view
                .shards
                .iter()
                .zip(1_u32..)
                .map(|(shard, number)| (format!("{number}"), shard.tokens as f64))
                .collect();
            self.plots.push(Plot::bars("Tokens by shard", "shard", &bars));
        }
        let shards: Vec<Vec<Cell>> = view
            .shards
            .iter()
            .map(|shard| {
                let mean = shard.tokens as f64 / shard.documents.max(1) as f64;
                vec![
                    Cell::text(&shard.name),
                    Cell::count(shard.tokens),
                    Cell::count(shard.documents),
                    Cell { text: format!("{mean:.1}"), order: Some(mean) },
                ]
            })
            .collect();
        if !shards.is_empty() {
            let head = ["shard", "tokens", "documents", "tokens a document"];
            self.tables.push(Table::new("Shards", &head, shards));
        }
    }
}

/// The facts about a split.
fn facts_of_split(view: &SplitView, vocab_size: Option<u32>) -> Vec<(String, String)> {
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    let coverage = vocab_size.map_or_else(
        || "unknown".into(),
        |size| percent(view.ids.used as f64 / f64::from(size.max(1))),
    );
    let mut facts = vec![
        ("tokens".to_owned(), grouped(view.tokens)),
        ("documents".into(), view.documents.map_or_else(|| "unknown".into(), grouped)),
        ("on disk".into(), sized(view.bytes)),
        ("different ids".into(), grouped(view.ids.used)),
        ("of the vocabulary".into(), coverage),
    ];
    if let Some(rows) = &view.rows {
        facts.push(("rows".into(), grouped(rows.rows)));
        facts.push(("inputs a row".into(), grouped(rows.seq_len as u64)));
        facts.push(("padding".into(), percent(rows.padding())));
        facts.push(("positions trained on".into(), percent(rows.trained_share())));
    }
    let stream = &view.stream;
    if let (Some(ended), Some(inner)) = (stream.ended, stream.inner_eos) {
        facts.push(("end with EOS".into(), grouped(ended)));
        facts.push(("EOS within".into(), grouped(inner)));
    }
    if let Some(gap) = stream.longest_without_eos {
        facts.push(("longest without EOS".into(), grouped(gap)));
    }
    facts.push(("repeated documents".into(), grouped(stream.duplicate_documents)));
    if let Some(masked) = stream.masked_share {
        facts.push(("masked".into(), percent(masked)));
    }
    if let (Some(bytes), Some(unk)) = (view.ids.byte_share, view.ids.unk_share) {
        facts.push(("single bytes".into(), percent(bytes)));
        facts.push(("unknown".into(), percent(unk)));
    }
    facts
}

/// Writes a share in percent, with enough decimals to show two digits of a small one.
fn rare(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 0.001 {
        return format!("{percent:.3}%");
    }
    format!("{}%", amount(percent))
}

/// Writes the lengths from one power of two to the next: `4k–8k`, where a `k` is 1,024.
fn range(from: u64, below: u64) -> String {
    if below - from <= 1 {
        return from.to_string();
    }
    if from < 1 << 10 {
        return format!("{from}–{}", below - 1);
    }
    format!("{}–{}", in_powers(from), in_powers(below))
}

/// Writes a power of two of at least 1,024.
fn in_powers(power: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "k")];
    let unit = units.into_iter().find(|(unit, _)| power >= *unit);
    unit.map_or_else(|| power.to_string(), |(unit, name)| format!("{}{name}", power / unit))
}

/// The section of the page about sources.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourcesPart {
    plots: Vec<Plot>,
    table: Table,
}

impl SourcesPart {
    /// Summarizes the sources of a manifest; `None` if it has none.
    pub(crate) fn of(manifest: &Manifest) -> Option<Self> {
        if manifest.sources.is_empty() {
            return None;
        }
        // Merged shards do not record their source.
        let mut tokens: BTreeMap<usize, u64> = BTreeMap::new();
        for split in manifest.splits.values() {
            let SplitRecord::Shards { shards } = split else { continue };
            for shard in shards {
                if let Some(source) = shard.source {
                    let sum = tokens.entry(source as usize).or_default();
                    *sum = sum.saturating_add(shard.tokens);
                }
            }
        }
        let ratio = |number: usize, text_bytes: u64| {
            let tokens = *tokens.get(&number)?;
            (text_bytes > 0).then(|| tokens as f64 / text_bytes as f64)
        };
        let sources = || manifest.sources.iter().enumerate();
        let mix: Vec<(String, f64)> =
            sources().map(|(_, source)| (short(&source.name), source.text_bytes as f64)).collect();
        let ratios: Vec<(String, f64)> = sources()
            .filter_map(|(at, source)| Some((short(&source.name), ratio(at, source.text_bytes)?)))
            .collect();
        let mut plots = vec![Plot::bars("Text by source", "source", &mix).noted("bytes")];
        if !ratios.is_empty() {
            plots.push(Plot::bars("Tokens a byte", "source", &ratios).noted("of text"));
        }
        let rows = sources()
            .map(|(at, source)| {
                vec![
                    Cell::text(&source.name),
                    Cell::bytes(source.bytes),
                    Cell::count(source.rows),
                    Cell::count(source.bad_rows),
                    Cell::bytes(source.text_bytes),
                    tokens.get(&at).map_or_else(Cell::unknown, |&tokens| Cell::count(tokens)),
                    Cell::number(ratio(at, source.text_bytes)),
                ]
            })
            .collect();
        let head = ["source", "on disk", "rows", "left out", "text", "tokens", "tokens a byte"];
        Some(Self { plots, table: Table::new("Files", &head, rows) })
    }
}

/// Returns the last part of a name, without its ending.
fn short(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once('.').map_or(last, |(stem, _)| stem).to_owned()
}

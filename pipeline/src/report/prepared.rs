//! The section of the page about prepared rows: what is kept, and evidence for what is not.

use std::path::Path;

use ratdata_console::{Plot, grouped, sized};
use ratdata_prepare::{FoundHits, Prepared, Totals};
use serde::Serialize;
use serde_json::Value;

use super::samples::visible;
use super::tables::{Cell, Table};

/// How many hits are shown for each tenth of the scores.
const SHOWN_HITS: usize = 3;

/// The section of the page about prepared rows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PreparedPart {
    kind: String,
    settings: String,
    plots: Vec<Plot>,
    tables: Vec<Table>,
    hits: Vec<Evidence>,
    samples: Vec<Evidence>,
}

/// A row, and why it is not kept.
#[derive(Clone, Debug, Serialize)]
struct Evidence {
    place: String,
    reason: String,
    /// What the row has.
    text: String,
    /// The passage of a benchmark that it has.
    passage: Option<String>,
    of: Option<String>,
}

impl PreparedPart {
    /// Summarizes a folder of prepared rows; `hits` are those of `decontaminate`.
    pub(crate) fn of(prepared: &Prepared, hits: &FoundHits) -> Self {
        let totals = &prepared.totals;
        let mut reasons: Vec<(String, f64)> =
            totals.reasons.iter().map(|(name, count)| (name.clone(), *count as f64)).collect();
        reasons.sort_by(|one, two| two.1.total_cmp(&one.1));
        let mut plots = Vec::new();
        if !reasons.is_empty() {
            plots.push(Plot::bars("Why rows are not kept", "reason", &reasons).noted("rows"));
        }
        if hits.rows() > 0 {
            let tenth = |(number, count): (usize, &u64)| {
                (format!("{}–{}%", number * 10, number * 10 + 10), *count as f64)
            };
            let bars: Vec<_> = hits.by_tenth.iter().enumerate().map(tenth).collect();
            let plot = Plot::bars("Best score of each row with a hit", "score", &bars);
            plots.push(plot.noted("rows"));
        }
        let row = |(reason, count): &(String, f64)| {
            let share = count * 100.0 / totals.rows.max(1) as f64;
            vec![
                Cell::text(reason),
                Cell::count(totals.reasons.get(reason).copied().unwrap_or(0)),
                Cell::number(Some(share)),
            ]
        };
        let reasons = Table::new(
            "Reasons",
            &["reason", "rows", "percent of all"],
            reasons.iter().map(row).collect(),
        );
        let samples = prepared.samples.iter().map(|sample| {
            let place = format!("{} row {}", sample.file, grouped(sample.row));
            Evidence::new(place, &sample.reason, &sample.excerpt, sample.detail.as_ref())
        });
        let shown = hits.shown.iter().map(|hit| {
            let place = format!("{} row {}", hit.file, grouped(hit.row));
            let reason = format!("score {:.2}, {} of {} n-grams", hit.score, hit.matched, hit.of);
            Evidence::new(place, &reason, "", Some(&hit.detail))
        });
        Self {
            kind: prepared.kind.clone(),
            settings: serde_json::to_string_pretty(&prepared.settings).unwrap_or_default(),
            plots,
            tables: vec![reasons, files(prepared)],
            hits: shown.collect(),
            samples: samples.collect(),
        }
    }

    /// Reads the hits of a folder, of each tenth of the scores a few.
    pub(crate) fn hits(
        folder: &Path,
        prepared: &Prepared,
    ) -> Result<FoundHits, ratdata_prepare::PrepareError> {
        FoundHits::read(folder, prepared, SHOWN_HITS)
    }

    /// Returns how many rows are shown.
    pub(crate) fn shown(&self) -> usize {
        self.samples.len() + self.hits.len()
    }
}

impl Evidence {
    fn new(place: String, reason: &str, excerpt: &str, detail: Option<&Value>) -> Self {
        let detail = detail.unwrap_or(&Value::Null);
        let passage = &detail["passage"];
        let text = detail["text"].as_str().unwrap_or(excerpt);
        let of = detail["of"]["file"].as_str().map(|file| {
            format!("stays: {file} row {}", grouped(detail["of"]["row"].as_u64().unwrap_or(0)))
        });
        let of_passage = passage["file"].as_str().map(|file| {
            let part = |name: &str| passage[name].as_str().unwrap_or_default();
            format!("{file}, {}, `{}`", part("place"), part("field"))
        });
        Self {
            place,
            reason: reason.to_owned(),
            text: visible(text),
            passage: passage["text"].as_str().map(visible),
            of: of.or(of_passage),
        }
    }
}

/// The facts at the top of the page.
pub(crate) fn facts_of(prepared: &Prepared) -> Vec<(String, String)> {
    let Totals { rows, kept, rewritten, text_bytes, kept_text_bytes, .. } = &prepared.totals;
    let share = *kept as f64 * 100.0 / (*rows).max(1) as f64;
    let mut facts = vec![
        ("made by".to_owned(), prepared.kind.clone()),
        ("rows".into(), grouped(*rows)),
        ("kept".into(), format!("{} ({share:.2}%)", grouped(*kept))),
        ("text".into(), sized(*text_bytes)),
        ("text kept".into(), sized(*kept_text_bytes)),
        ("files".into(), grouped(prepared.files.len() as u64)),
    ];
    if *rewritten > 0 {
        facts.push(("rows with another text".into(), grouped(*rewritten)));
    }
    for (name, value) in prepared.more.as_object().into_iter().flatten() {
        facts.extend(value.as_u64().map(|count| (name.replace('_', " "), grouped(count))));
    }
    facts
}

fn files(prepared: &Prepared) -> Table {
    let row = |file: &ratdata_prepare::PreparedFile| {
        let counts = &file.counts;
        vec![
            Cell::text(&file.name),
            Cell::count(counts.rows),
            Cell::count(counts.kept),
            Cell::number(Some(counts.kept as f64 * 100.0 / counts.rows.max(1) as f64)),
            Cell::bytes(counts.kept_text_bytes),
            Cell::bytes(file.data.bytes),
        ]
    };
    let head = ["file", "rows", "kept", "percent", "text kept", "on disk"];
    Table::new("Files", &head, prepared.files.iter().map(row).collect())
}

//! The section of the page about a mix: what each artifact gives, and how often.

use ratdata_console::{Plot, grouped};
use ratdata_schemas::Manifest;
use ratdata_schemas::recipe::{MixedSource, Recipe};
use serde::Serialize;

use super::tables::{Cell, Table};

/// The section of the page about a mix.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MixturePart {
    note: String,
    plots: Vec<Plot>,
    table: Table,
}

impl MixturePart {
    /// Summarizes how an artifact was mixed; none if it was not.
    pub(crate) fn of(manifest: &Manifest) -> Option<Self> {
        let Recipe::Mix(mix) = &manifest.recipe else { return None };
        let of = |source: &MixedSource| {
            let split = mix.split.as_str();
            let given = source.given.get(split).copied().unwrap_or(0);
            (given, source.input.documents.get(split).copied().unwrap_or(0))
        };
        let all = mix.sources.iter().map(|source| of(source).0).fold(0, u64::saturating_add);
        let share = |given: u64| given as f64 * 100.0 / all.max(1) as f64;
        let bars: Vec<(String, f64)> = (1..)
            .zip(&mix.sources)
            .map(|(number, source): (u32, &MixedSource)| {
                (format!("{number} {}", source.input.name), share(of(source).0))
            })
            .collect();
        let row = |(number, source): (u64, &MixedSource)| {
            let (given, there) = of(source);
            vec![
                Cell::count(number),
                Cell::text(&source.input.name),
                Cell::text(&source.take.to_string()),
                Cell::count(there),
                Cell::count(given),
                Cell::decimals(Some(share(given)), 2),
                Cell::decimals(Some(given as f64 / there.max(1) as f64), 2),
            ]
        };
        let head =
            ["number", "artifact", "asked for", "documents there", "given", "percent", "epochs"];
        let rows = (1..).zip(&mix.sources).map(row).collect();
        Some(Self {
            note: format!("split {}, seed {}, {} documents", mix.split, mix.seed, grouped(all)),
            plots: vec![
                Plot::bars("What each artifact gives", "artifact", &bars)
                    .noted("percent of the documents"),
            ],
            table: Table::new("Artifacts", &head, rows),
        })
    }
}

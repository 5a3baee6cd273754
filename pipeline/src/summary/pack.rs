//! What commands that pack say of the rows.

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_schemas::Manifest;
use ratdata_tokenize::pack::SplitPacked;
use ratdata_tokenize::tokenizer::SlowPaths;
use serde::Serialize;

use ratdata_console::grouped;

/// What a pack holds.
#[derive(Debug, Serialize)]
pub(crate) struct PackSummary {
    out: PathBuf,
    splits: Vec<SplitFill>,
    /// What took slow paths, where this run has encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_paths: Option<SlowPaths>,
}

#[derive(Debug, Serialize)]
struct SplitFill {
    #[serde(flatten)]
    packed: SplitPacked,
    fill: f64,
    padding: f64,
}

impl PackSummary {
    pub(crate) fn of(out: &Path, manifest: &Manifest) -> Self {
        let splits = SplitPacked::all(manifest).into_iter().map(|packed| SplitFill {
            fill: packed.fill(),
            padding: 1.0 - packed.fill(),
            packed,
        });
        Self { out: out.to_owned(), splits: splits.collect(), slow_paths: None }
    }

    /// Adds what took slow paths.
    pub(crate) fn with_slow_paths(self, slow_paths: SlowPaths) -> Self {
        Self { slow_paths: Some(slow_paths), ..self }
    }
}

impl fmt::Display for PackSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.splits.is_empty() {
            writeln!(
                f,
                "{:<8} {:>12} {:>12} {:>8} {:>9} {:>12} {:>10}",
                "split", "rows", "documents", "fill", "padding", "cut", "left out"
            )?;
        }
        for SplitFill { packed, fill, padding } in &self.splits {
            writeln!(
                f,
                "{:<8} {:>12} {:>12} {:>7.2}% {:>8.2}% {:>12} {:>10}",
                packed.split,
                grouped(packed.counts.rows),
                grouped(packed.counts.documents),
                fill * 100.0,
                padding * 100.0,
                grouped(packed.counts.cut),
                grouped(packed.counts.dropped.saturating_add(packed.counts.empty)),
            )?;
        }
        write!(f, "{}", self.out.display())
    }
}

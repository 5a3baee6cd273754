//! What `sft` says of preference pairs.

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_console::{grouped, sized};
use ratdata_schemas::recipe::{PreferenceCounts, Recipe, artifact_split};
use ratdata_schemas::{Manifest, SplitRecord};
use ratdata_tokenize::tokenizer::SlowPaths;
use serde::Serialize;

/// What an artifact of preference pairs holds.
#[derive(Debug, Serialize)]
pub(crate) struct PreferenceSummary {
    out: PathBuf,
    tokenizer: String,
    splits: Vec<SplitPairs>,
    seconds: f64,
    slow_paths: SlowPaths,
}

#[derive(Debug, Serialize)]
struct SplitPairs {
    name: String,
    #[serde(flatten)]
    counts: PreferenceCounts,
    /// The tokens of the chosen rows and of the rejected ones, prompts included.
    chosen_tokens: u64,
    rejected_tokens: u64,
    bytes: u64,
}

impl PreferenceSummary {
    /// Sums up a manifest.
    pub(crate) fn of(out: &Path, manifest: &Manifest, seconds: f64, slow_paths: SlowPaths) -> Self {
        let mut splits = Vec::new();
        if let Recipe::Sft(sft) = &manifest.recipe {
            for made in &sft.splits {
                let Some(counts) = made.preference else { continue };
                let names = sft.task.artifact_splits(&made.name);
                let records = names.iter().filter_map(|name| manifest.splits.get(name.as_str()));
                let records: Vec<&SplitRecord> = records.collect();
                let tokens = |side: usize| match records.get(side) {
                    Some(SplitRecord::Shards { shards }) => shards.iter().map(|s| s.tokens).sum(),
                    _ => 0,
                };
                let files = records.iter().flat_map(|record| record.files());
                splits.push(SplitPairs {
                    name: artifact_split(&made.name).to_owned(),
                    counts,
                    chosen_tokens: tokens(0),
                    rejected_tokens: tokens(1),
                    bytes: files.map(|file| file.bytes).sum(),
                });
            }
        }
        let tokenizer = manifest.tokenizer.name.clone();
        Self { out: out.to_owned(), tokenizer, splits, seconds, slow_paths }
    }
}

impl fmt::Display for PreferenceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<8} {:>10} {:>15} {:>15} {:>10} {:>10} {:>10}",
            "split", "pairs", "chosen tokens", "rejected tokens", "cut", "left out", "on disk"
        )?;
        for split in &self.splits {
            let counts = &split.counts;
            writeln!(
                f,
                "{:<8} {:>10} {:>15} {:>15} {:>10} {:>10} {:>10}",
                split.name,
                grouped(counts.kept),
                grouped(split.chosen_tokens),
                grouped(split.rejected_tokens),
                grouped(counts.cut_prompts.saturating_add(counts.cut_answers)),
                grouped(counts.left_out()),
                sized(split.bytes)
            )?;
            for (count, what) in [
                (counts.cut_prompts, "prompts cut, the same way for both answers"),
                (counts.cut_answers, "pairs with an answer that is cut at its end"),
                (counts.too_long, "pairs left out: longer than a row"),
                (counts.too_long_answers, "pairs left out: an answer fills the row"),
                (counts.too_long_prompts, "pairs left out: the prompt fills the row"),
            ] {
                if count > 0 {
                    writeln!(f, "  {} {what}", grouped(count))?;
                }
            }
        }
        write!(f, "{:.2} s\n{}", self.seconds, self.out.display())
    }
}

//! What commands that make token bins say of them.

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::{Manifest, SplitRecord};
use ratdata_tokenize::tokenizer::SlowPaths;
use serde::Serialize;

use ratdata_console::{grouped, sized, sized_f};

/// What an artifact of token bins holds.
#[derive(Debug, Serialize)]
pub(crate) struct BinsSummary {
    out: PathBuf,
    tokenizer: String,
    dtype: String,
    splits: Vec<SplitTotals>,
    documents: u64,
    tokens: u64,
    text_bytes: u64,
    bytes_per_token: f64,
    bad_rows: u64,
    replaced_rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// What took slow paths in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_paths: Option<SlowPaths>,
}

#[derive(Debug, Serialize)]
struct SplitTotals {
    name: String,
    files: usize,
    documents: u64,
    tokens: u64,
    bytes: u64,
}

impl BinsSummary {
    /// Sums up a manifest.
    pub(crate) fn of(out: &std::path::Path, manifest: &Manifest, seconds: Option<f64>) -> Self {
        let splits: Vec<SplitTotals> = manifest
            .splits
            .iter()
            .filter_map(|(name, split)| {
                let SplitRecord::Shards { shards } = split else { return None };
                Some(SplitTotals {
                    name: name.to_string(),
                    files: shards.len(),
                    documents: shards.iter().map(|shard| shard.documents).sum(),
                    tokens: shards.iter().map(|shard| shard.tokens).sum(),
                    bytes: shards.iter().map(|shard| shard.bin.bytes).sum(),
                })
            })
            .collect();
        let tokens = splits.iter().map(|split| split.tokens).sum();
        let text_bytes = manifest.text_bytes().unwrap_or(0);
        Self {
            out: out.to_owned(),
            tokenizer: manifest.tokenizer.name.clone(),
            dtype: manifest.dtype.to_string(),
            documents: splits.iter().map(|split| split.documents).sum(),
            tokens,
            text_bytes,
            bytes_per_token: if tokens == 0 { 0.0 } else { text_bytes as f64 / tokens as f64 },
            bad_rows: manifest.sources.iter().map(|source| source.bad_rows).sum(),
            replaced_rows: manifest.sources.iter().map(|source| source.replaced_rows).sum(),
            splits,
            seconds,
            slow_paths: None,
        }
    }

    /// Returns how many tokens there are.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Adds what took slow paths.
    pub(crate) fn with_slow_paths(self, slow_paths: SlowPaths) -> Self {
        Self { slow_paths: Some(slow_paths), ..self }
    }
}

impl fmt::Display for BinsSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<8} {:>7} {:>14} {:>18} {:>12}",
            "split", "files", "documents", "tokens", "on disk"
        )?;
        for split in &self.splits {
            writeln!(
                f,
                "{:<8} {:>7} {:>14} {:>18} {:>12}",
                split.name,
                split.files,
                grouped(split.documents),
                grouped(split.tokens),
                sized(split.bytes)
            )?;
        }
        // Of bins that another tool wrote, and of a mix, nobody knows how long the text was.
        if self.text_bytes > 0 {
            let text = sized(self.text_bytes);
            write!(f, "{text} of text, {:.3} bytes a token, ", self.bytes_per_token)?;
        }
        write!(f, "{} ids of `{}`", self.dtype, self.tokenizer)?;
        if self.bad_rows > 0 {
            write!(f, ", {} bad rows left out", grouped(self.bad_rows))?;
        }
        if self.replaced_rows > 0 {
            write!(f, ", {} rows with U+FFFD put in", grouped(self.replaced_rows))?;
        }
        if let Some(seconds) = self.seconds {
            write!(
                f,
                "\n{seconds:.2} s, {}/s of text",
                sized_f(self.text_bytes as f64 / seconds.max(1e-9))
            )?;
        }
        write!(f, "\n{}", self.out.display())
    }
}

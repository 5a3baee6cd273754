//! The page that the hub shows: YAML that it reads, and Markdown for people.

use std::fmt;

use ratdata_console::{grouped, sized};
use ratdata_schemas::{Manifest, SplitRecord};

use super::about::About;
use super::croissant::description;
use super::holds::Holds;

/// The most sources that the page lists.
const SOURCES: usize = 50;

/// A data set's card.
#[derive(Debug)]
pub(crate) struct DatasetCard<'a> {
    /// What the artifact holds.
    pub(crate) manifest: &'a Manifest,
    /// What the user says of it.
    pub(crate) about: &'a About,
}

impl fmt::Display for DatasetCard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifest, about } = self;
        self.front(f)?;
        writeln!(f, "# {}\n\n{}\n", about.title, description(manifest, about))?;
        self.splits(f)?;
        self.tokenizer(f)?;
        self.sources(f)?;
        self.reading(f)?;
        let recipe = serde_json::to_string_pretty(&manifest.recipe).map_err(|_| fmt::Error)?;
        writeln!(f, "## How it was made\n\n```json\n{recipe}\n```")
    }
}

impl DatasetCard<'_> {
    /// Writes what the hub reads.
    fn front(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = self.about;
        writeln!(f, "---\npretty_name: {}", quoted(&about.title))?;
        if let Some(license) = &about.license {
            writeln!(f, "license: {}", quoted(license))?;
        }
        if !about.languages.is_empty() {
            writeln!(f, "language:")?;
            for language in &about.languages {
                writeln!(f, "- {}", quoted(language))?;
            }
        }
        let records = self.manifest.splits.values().map(|split| Holds::of(split).records).sum();
        writeln!(f, "size_categories:\n- {}", size_category(records))?;
        writeln!(f, "task_categories:\n- text-generation\ntags:\n- ratdata\n- token-ids\n---\n")
    }

    fn splits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| split | holds | records | tokens | on disk |\n|---|---|---:|---:|---:|")?;
        for (name, split) in &self.manifest.splits {
            let Holds { layout, records, tokens, bytes } = Holds::of(split);
            let tokens = tokens.map_or_else(String::new, grouped);
            writeln!(
                f,
                "| {name} | {layout} | {} | {tokens} | {} |",
                grouped(records),
                sized(bytes)
            )?;
        }
        writeln!(f)
    }

    fn tokenizer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokenizer = &self.manifest.tokenizer;
        writeln!(
            f,
            "The ids are those of the tokenizer `{}` with the semantics of {}: {} ids, stored as {}. Its fingerprint is \
             `{}`.\n",
            tokenizer.name,
            tokenizer.semantics,
            grouped(u64::from(tokenizer.vocab_size)),
            self.manifest.dtype.numpy_name(),
            tokenizer.fingerprint,
        )
    }

    fn sources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = &self.manifest.sources;
        if sources.is_empty() {
            return Ok(());
        }
        writeln!(f, "## Sources\n\n| source | rows | text | BLAKE3 |\n|---|---:|---:|---|")?;
        for source in sources.iter().take(SOURCES) {
            writeln!(
                f,
                "| {} | {} | {} | `{}` |",
                cell(&source.name),
                grouped(source.rows),
                sized(source.text_bytes),
                source.fingerprint,
            )?;
        }
        if let Some(more) = sources.len().checked_sub(SOURCES).filter(|&more| more > 0) {
            writeln!(f, "\n{} more sources are in `manifest.json`.", grouped(more as u64))?;
        }
        writeln!(f)
    }

    fn reading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "## Reading it\n\n`manifest.json` names every file with its size and BLAKE3 checksum; `ratdata verify` checks \
             them.\n\n```python\nimport ratdata\n\nprint(ratdata.open(\"FOLDER\"))\nfeed = ratdata.Feed(\"FOLDER\", {}batch_size=8)\n\
             batch = next(iter(feed))  # int64 arrays: input_ids, labels\n```\n",
            if self.has_rows() { "" } else { "seq_len=1024, " },
        )
    }

    fn has_rows(&self) -> bool {
        let splits = &self.manifest.splits;
        !splits.values().any(|split| matches!(split, SplitRecord::Shards { .. }))
    }
}

/// Writes a text as a YAML string, which is one of JSON, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Keeps a name from ending its cell or its line.
fn cell(name: &str) -> String {
    name.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Returns the hub's name of a size.
fn size_category(records: u64) -> &'static str {
    match records {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "n>1B",
    }
}

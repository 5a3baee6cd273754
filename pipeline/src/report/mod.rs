//! The reports: one page with the numbers of an artifact, its plots, samples and training runs, and one
//! that compares models.
//!
//! ```text
//! lineage.rs, mixture.rs, samples.rs, tables.rs, runs.rs   parts of the page about an artifact
//! comparison/                                  the page that compares models
//!   -> page.rs                                 a page of parts, as HTML
//! ```

mod comparison;
mod lineage;
mod mixture;
mod page;
mod prepared;
mod runs;
mod samples;
mod tables;

use std::path::{Path, PathBuf};

use ratdata_schemas::MANIFEST_FILE;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::inspect::{SplitTokens, Subject, inspect};
use crate::interrupt;
use crate::preparing::prepare_failure;
pub(crate) use comparison::{Comparison, NamedFolder, Paper};
use lineage::{Node, levels_of, name_of};
use mixture::MixturePart;
use page::Template;
use prepared::PreparedPart;
use ratdata_prepare::Prepared;
use runs::ShownRun;
pub(crate) use runs::data_of;
use samples::{Sample, of_documents, of_rows};
use tables::{SourcesPart, SplitPart};

/// What a report is about.
pub(crate) struct Wanted<'a> {
    /// Its name in the command.
    pub(crate) path: &'a Path,
    /// The artifact, bin or pair.
    pub(crate) subject: &'a Subject,
    /// The tokenizer that made the ids, if it was found.
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    /// How many documents or rows of each split are shown, and the seed of the draw.
    pub(crate) samples: usize,
    pub(crate) seed: u64,
    /// Training runs to show in addition to those that are found.
    pub(crate) runs: &'a [PathBuf],
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    title: String,
    path: String,
    version: &'static str,
    facts: Vec<(String, String)>,
    warnings: Vec<String>,
    levels: Vec<Vec<Node>>,
    splits: Vec<SplitPart>,
    mixture: Option<MixturePart>,
    sources: Option<SourcesPart>,
    prepared: Option<PreparedPart>,
    runs: Vec<ShownRun>,
    samples: Vec<Sample>,
    masked: bool,
    no_samples: Option<&'static str>,
}

impl Report {
    /// Inspects an artifact, a bin or a pair, and the runs that read it.
    pub(crate) fn of(wanted: &Wanted<'_>) -> Result<Self, Failure> {
        let path = wanted.path;
        let manifest = wanted.subject.manifest();
        let inspection = inspect(wanted.subject, wanted.tokenizer)?;
        let mut runs = Vec::new();
        let mut folders = runs::next_to(path);
        folders.extend(wanted.runs.iter().cloned());
        let mut seen: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            if seen.contains(&real) {
                continue;
            }
            seen.push(real);
            runs.push(runs::read(&folder).map_err(|wrong| {
                let message =
                    format!("{}: cannot read the run's metrics: {wrong}", folder.display());
                Failure::message(Kind::Failed, message)
            })?);
        }
        let mut levels = manifest.map(|m| levels_of(wanted.subject.path(), m)).unwrap_or_default();
        if !runs.is_empty() {
            levels.push(runs.iter().map(ShownRun::node).collect());
        }
        let samples = match wanted.tokenizer {
            Some(tokenizer) => samples_of(wanted, tokenizer)?,
            None => Vec::new(),
        };
        Ok(Self {
            title: name_of(path),
            path: path.display().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            facts: tables::facts_of(&inspection, manifest),
            splits: inspection
                .splits
                .iter()
                .map(|split| SplitPart::of(split, inspection.vocab_size))
                .collect(),
            mixture: manifest.and_then(MixturePart::of),
            sources: manifest.and_then(SourcesPart::of),
            prepared: None,
            warnings: inspection.warnings,
            levels,
            runs,
            masked: samples.iter().any(Sample::masked),
            samples,
            no_samples: wanted.tokenizer.is_none().then_some(
                "The tokenizer was not found; name it with --tokenizer to see documents as text.",
            ),
        })
    }

    /// Shows prepared rows.
    pub(crate) fn of_prepared(path: &Path, prepared: &Prepared) -> Result<Self, Failure> {
        let hits = PreparedPart::hits(path, prepared).map_err(|wrong| prepare_failure(&wrong))?;
        let mut warnings = Vec::new();
        if prepared.totals.kept == 0 {
            warnings.push("No row is kept.".to_owned());
        }
        Ok(Self {
            title: name_of(path),
            path: path.display().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            facts: prepared::facts_of(prepared),
            warnings,
            levels: Vec::new(),
            splits: Vec::new(),
            mixture: None,
            sources: None,
            prepared: Some(PreparedPart::of(prepared, &hits)),
            runs: Vec::new(),
            samples: Vec::new(),
            masked: false,
            no_samples: None,
        })
    }

    /// Returns how many samples and runs there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let prepared = self.prepared.as_ref().map_or(0, PreparedPart::shown);
        (self.samples.len() + prepared, self.runs.len())
    }

    /// Writes the page.
    pub(crate) fn page(&self) -> Result<String, Failure> {
        page::render(Template::Artifact, self)
    }
}

fn samples_of(wanted: &Wanted<'_>, tokenizer: &Tokenizer) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    let (count, seed) = (wanted.samples, wanted.seed);
    for name in wanted.subject.parts() {
        match wanted.subject.open(&name)? {
            SplitTokens::Bins(set) => {
                samples.extend(of_documents(&set, &name, tokenizer, count, seed));
            }
            SplitTokens::Rows(set) => samples.extend(of_rows(&set, &name, tokenizer, count, seed)),
        }
        interrupt::check()?;
    }
    Ok(samples)
}

/// Returns the artifact that a folder means: itself, or the one that its training run read.
pub(crate) fn artifact_of(path: &Path) -> Result<PathBuf, Failure> {
    if path.join(MANIFEST_FILE).is_file() || !runs::is_run(path) {
        return Ok(path.to_owned());
    }
    data_of(path).into_iter().find(|data| data.exists()).ok_or_else(|| {
        let message = format!("{}: a training run whose data is not there", path.display());
        Failure::message(Kind::Failed, message)
            .hinted(Some("name the artifact, and the run with `--run`"))
    })
}

/// Returns whether a folder holds a training run.
pub(crate) fn is_run(path: &Path) -> bool {
    runs::is_run(path)
}

//! The report: one page with the numbers of an artifact, its plots, samples and training runs.
//!
//! The page is made of three files beside this one. Everything drawn is laid out here, so that it
//! can be read without scripts; the one script sorts tables. Text is escaped by the template, and
//! the page's own policy lets no other script run and nothing be loaded.

mod lineage;
mod plot;
mod runs;
mod samples;
mod tables;

use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use ratdata_schemas::manifest::MANIFEST_FILE;
use ratdata_schemas::{Dtype, Manifest, RowSet, SplitRecord};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::inspect::{inspect_artifact, inspect_bin, open_bins, rows_failure};
use lineage::{Node, chain_of, name_of};
use runs::Run;
use samples::{Sample, of_documents, of_rows};
use tables::{SourcesPart, SplitPart};

/// What a report is about.
pub(crate) struct Subject<'a> {
    /// The artifact folder, bin, or run folder.
    pub(crate) path: &'a Path,
    /// The width of the ids of a headerless bin.
    pub(crate) dtype: Dtype,
    /// The tokenizer that made the ids, where one was found.
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    /// How many documents or rows of each split are shown, and the seed with which they are drawn.
    pub(crate) samples: usize,
    pub(crate) seed: u64,
    /// Training runs to show beside those that are found.
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
    chain: Vec<Node>,
    splits: Vec<SplitPart>,
    sources: Option<SourcesPart>,
    runs: Vec<Run>,
    samples: Vec<Sample>,
    masked: bool,
    no_samples: Option<&'static str>,
}

impl Report {
    /// Looks at an artifact, a bin, or a run and the artifact that it read.
    pub(crate) fn of(subject: &Subject<'_>) -> Result<Self, Failure> {
        let path = subject.path;
        let manifest = if path.join(MANIFEST_FILE).is_file() {
            let read = Manifest::read(path);
            Some(read.map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?)
        } else {
            None
        };
        let inspection = match &manifest {
            Some(_) => inspect_artifact(path, subject.tokenizer)?,
            None => inspect_bin(path, subject.dtype, subject.tokenizer)?,
        };
        let mut runs = Vec::new();
        let mut folders = runs::beside(path);
        folders.extend(subject.runs.iter().cloned());
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
        let mut chain = manifest.as_ref().map(|m| chain_of(path, m)).unwrap_or_default();
        chain.extend(runs.iter().map(Run::node));
        let samples = match (subject.tokenizer, &manifest) {
            (Some(tokenizer), Some(manifest)) => samples_of(subject, manifest, tokenizer)?,
            (Some(tokenizer), None) => {
                let set = ratdata_schemas::BinSet::open_bin(path, subject.dtype)
                    .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
                of_documents(&set, "bin", tokenizer, subject.samples, subject.seed)
            }
            (None, _) => Vec::new(),
        };
        Ok(Self {
            title: name_of(path),
            path: path.display().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            facts: tables::facts_of(&inspection, manifest.as_ref()),
            splits: inspection.splits.iter().map(SplitPart::of).collect(),
            sources: manifest.as_ref().and_then(SourcesPart::of),
            warnings: inspection.warnings,
            chain,
            runs,
            masked: samples.iter().any(Sample::masked),
            samples,
            no_samples: subject.tokenizer.is_none().then_some(
                "The tokenizer was not found; name it with --tokenizer to see documents as text.",
            ),
        })
    }

    /// Returns how many samples and runs there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.samples.len(), self.runs.len())
    }

    /// Writes the page.
    pub(crate) fn page(&self) -> Result<String, Failure> {
        let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment
            .add_template("page", include_str!("page.html"))
            .map_err(|wrong| failed(&wrong))?;
        let content = serde_json::to_vec(self).map_err(|wrong| failed(&wrong))?;
        // No text can hold the checksum of all texts, so no text can name the page's own script.
        let nonce = blake3::hash(&content).to_hex();
        let template = environment.get_template("page").map_err(|wrong| failed(&wrong))?;
        template
            .render(Serde(Page {
                report: self,
                nonce: &nonce[..32],
                style: include_str!("style.css"),
                script: include_str!("sort.js"),
            }))
            .map_err(|wrong| failed(&wrong))
    }
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    report: &'a Report,
    nonce: &'a str,
    style: &'static str,
    script: &'static str,
}

fn samples_of(
    subject: &Subject<'_>,
    manifest: &Manifest,
    tokenizer: &Tokenizer,
) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    let (count, seed) = (subject.samples, subject.seed);
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = open_bins(subject.path, manifest, name)?;
            samples.extend(of_documents(&set, name, tokenizer, count, seed));
        } else {
            let set = RowSet::open(subject.path, name).map_err(|wrong| rows_failure(&wrong))?;
            samples.extend(of_rows(&set, name, tokenizer, count, seed));
        }
    }
    Ok(samples)
}

/// Returns the artifact that a folder speaks of: itself, or the one that its training run read.
pub(crate) fn artifact_of(path: &Path) -> Result<PathBuf, Failure> {
    if path.join(MANIFEST_FILE).is_file() || !runs::is_run(path) {
        return Ok(path.to_owned());
    }
    runs::data_of(path).into_iter().find(|data| data.exists()).ok_or_else(|| {
        let message = format!("{}: a training run whose data is not there", path.display());
        Failure::message(Kind::Failed, message)
            .hinted(Some("name the artifact, and the run with `--run`"))
    })
}

/// Returns whether a folder holds a training run.
pub(crate) fn is_run(path: &Path) -> bool {
    runs::is_run(path)
}

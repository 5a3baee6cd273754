//! Finds the input files of an artifact by their names in its manifest.

use ratdata_schemas::Manifest;
use ratdata_schemas::recipe::Recipe;
use ratdata_tokenize::hub::{HubError, resolve_splits};
use ratdata_tokenize::source::{SourceError, SourceFile, SplitFiles};

use crate::failure::Failure;
use crate::library_failures::hub_failure;
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Returns the files that `inputs` name: the files of the splits that the artifact was made from, and
/// all others if a source is still missing.
pub(crate) fn find(
    ui: &Ui,
    inputs: &[String],
    manifest: &Manifest,
) -> Result<Vec<SourceFile>, Failure> {
    let bars = FetchBars::new(ui);
    let take = match &manifest.recipe {
        Recipe::Tokenize(config) => config.split_files,
        _ => SplitFiles::default(),
    };
    let mut files = match resolve_splits(inputs, take, &bars) {
        Err(HubError::Source(SourceError::NoSplit { .. })) => Vec::new(),
        found => found.map_err(|wrong| hub_failure(&wrong))?.files,
    };
    let is_there = |files: &[SourceFile], name: &str| files.iter().any(|file| file.name == name);
    if manifest.sources.iter().all(|source| is_there(&files, &source.name)) {
        return Ok(files);
    }
    let all =
        resolve_splits(inputs, SplitFiles::All, &bars).map_err(|wrong| hub_failure(&wrong))?;
    let others = all.files.into_iter().filter(|file| !is_there(&files, &file.name));
    let others: Vec<SourceFile> = others.collect();
    files.extend(others);
    Ok(files)
}

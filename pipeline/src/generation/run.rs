//! What belongs to a run and is not in its folder: the tokenizer and the chat template of its data.

use std::path::{Path, PathBuf};

use ratdata_schemas::recipe::{Chat, Recipe};
use ratdata_schemas::{Manifest, TokenizerRecord};
use ratdata_tokenize::tokenizer::Tokenizer;

use super::settings::RUN_HINT;
use crate::failure::{Failure, Kind};
use crate::inspect::{find_tokenizer, missing_tokenizer};
use crate::report::data_of;
use crate::ui::Ui;

/// Refuses a folder that is not there.
pub(crate) fn check_run(run: &Path) -> Result<(), Failure> {
    if run.is_dir() {
        return Ok(());
    }
    let message = format!("{}: no such run", run.display());
    Err(Failure::message(Kind::Usage, message).hinted(Some(RUN_HINT)))
}

/// Finds the tokenizer: the given one, that of an input, or that of the data the run was trained on.
pub(crate) fn tokenizer_of(
    ui: &Ui,
    run: &Path,
    asked: Option<&str>,
    of_input: Option<(TokenizerRecord, PathBuf)>,
) -> Result<Tokenizer, Failure> {
    let of_run = || manifests_of(run).map(|(manifest, path)| (manifest.tokenizer, path)).next();
    let known = of_input.or_else(of_run);
    let (record, root) = match &known {
        Some((record, root)) => (Some(record), root.as_path()),
        None => (None, run),
    };
    if let Some(tokenizer) = find_tokenizer(ui, asked, record, root)? {
        return Ok(tokenizer);
    }
    let (message, hint) = missing_tokenizer(record);
    Err(Failure::message(Kind::Usage, message).hinted(Some(hint)))
}

/// Returns how the conversations were written that the run was tuned on; none where it was tuned on
/// prompts, or on rows that `pack` made.
pub(crate) fn chat_of(run: &Path) -> Option<Chat> {
    manifests_of(run).find_map(|(manifest, _)| match manifest.recipe {
        Recipe::Sft(sft) => sft.task.chat,
        _ => None,
    })
}

/// Returns the run that a folder belongs to: itself, or the run of a checkpoint.
fn run_of(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    match (folder.parent(), folder.ancestors().nth(2)) {
        (Some(checkpoints), Some(run)) if checkpoints.ends_with("checkpoints") => run.to_owned(),
        _ => folder,
    }
}

/// Reads the manifests of a run's data; it is named from where the run was started, or from its folder.
fn manifests_of(run: &Path) -> impl Iterator<Item = (Manifest, PathBuf)> {
    let run = run_of(run);
    let above = run.parent().unwrap_or(Path::new(".")).to_owned();
    let places = data_of(&run).into_iter().flat_map(move |data| [data.clone(), above.join(data)]);
    places.filter_map(|path| Some((Manifest::read(&path).ok()?, path)))
}

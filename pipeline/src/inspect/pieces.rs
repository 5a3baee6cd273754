//! Finds the tokenizer of an artifact, so that ids can be shown as text.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::TokenizerRecord;
use ratdata_tokenize::hub::{cached_tokenizer, resolve_tokenizer};
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::failure::{Failure, Kind, hub_failure};
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Returns the tokenizer that made an artifact: the one asked for, or one that lies near it or in
/// the cache of the hub and has its fingerprint. `None` where there is none.
///
/// # Errors
///
/// The one asked for cannot be had, or is another than the artifact's.
pub(crate) fn find(
    ui: &Ui,
    asked: Option<&str>,
    record: Option<&TokenizerRecord>,
    root: &Path,
) -> Result<Option<Tokenizer>, Failure> {
    if let Some(asked) = asked {
        let found = resolve_tokenizer(asked, &FetchBars::new(ui)).map_err(|w| hub_failure(&w))?;
        let tokenizer = Tokenizer::load(&found.path)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        return match record {
            Some(record) if record.fingerprint != *tokenizer.fingerprint() => {
                let message = format!(
                    "{}: made by tokenizer `{}` ({}), not by {}",
                    root.display(),
                    record.name,
                    record.semantics,
                    found.path.display()
                );
                let hint = "a `tokenizer.json` and a SentencePiece `.model` of one vocabulary are two tokenizers";
                Err(Failure::message(Kind::Usage, message).hinted(Some(hint)))
            }
            _ => Ok(Some(tokenizer)),
        };
    }
    let Some(record) = record else { return Ok(None) };
    let file =
        if record.semantics == "sentencepiece" { "tokenizer.model" } else { "tokenizer.json" };
    let above = root.parent().unwrap_or(root);
    let near = [root.join(file), above.join(file), above.join("tokenizer").join(file)];
    // A pipeline's results lie side by side, and one of them may hold the tokenizer.
    let beside = fs::read_dir(above).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut beside: Vec<PathBuf> =
        beside.flat_map(|path| [path.join(file), path.join("tokenizer").join(file)]).collect();
    beside.sort();
    let candidates = near.into_iter().chain(beside).chain(cached_tokenizer(&record.name));
    Ok(candidates
        .filter(|path| path.is_file())
        .filter_map(|path: PathBuf| Tokenizer::load(&path).ok())
        .find(|tokenizer| record.fingerprint == *tokenizer.fingerprint()))
}

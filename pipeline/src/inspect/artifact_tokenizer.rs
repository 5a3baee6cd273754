//! Finds the tokenizer of an artifact, to show its ids as text.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::{Semantics, TokenizerRecord};
use ratdata_tokenize::hub::cached_tokenizer;
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::arguments::tokenizer;
use crate::failure::{Failure, Kind};
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Returns the tokenizer of an artifact: the given one, or one with the recorded fingerprint near the
/// artifact, near the working folder or in the hub's cache. `None` if there is none.
///
/// # Errors
///
/// The given tokenizer cannot be loaded or is not the artifact's; or the one that was found does not
/// load.
pub(crate) fn find(
    ui: &Ui,
    asked: Option<&str>,
    record: Option<&TokenizerRecord>,
    root: &Path,
) -> Result<Option<Tokenizer>, Failure> {
    if let Some(asked) = asked {
        let found = tokenizer::resolve(asked, &FetchBars::new(ui))?;
        let tokenizer = tokenizer::load(&found)?;
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
    let found = candidates(record, root).into_iter().chain(cached_tokenizer(&record.name));
    // Other files there are ignored; the artifact's own tokenizer must load.
    let is_own = |path: &PathBuf| {
        let fingerprint = path.is_file().then(|| Tokenizer::fingerprint_of(path));
        fingerprint.is_some_and(|found| found.is_ok_and(|found| found == record.fingerprint))
    };
    let own = found.into_iter().find(is_own);
    own.map(|path| Tokenizer::load(&path))
        .transpose()
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
}

/// Returns where the tokenizer of an artifact may be, the nearest places first.
///
/// A manifest contains no path of the machine. So a tokenizer that was given by its path is searched
/// by its name, in the folders around the artifact and around the working folder.
fn candidates(record: &TokenizerRecord, root: &Path) -> Vec<PathBuf> {
    let ranks = format!("{}.tiktoken", record.name);
    let (file, ending) = match record.semantics {
        Semantics::SentencePiece => ("tokenizer.model", "model"),
        Semantics::Tiktoken => (ranks.as_str(), "tiktoken"),
        Semantics::MistralCommon => ("tekken.json", "json"),
        Semantics::Tokenizers | Semantics::Unknown => ("tokenizer.json", "json"),
    };
    let named = format!("{}.{ending}", record.name);
    let here = std::env::current_dir().unwrap_or_default();
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut places = Vec::new();
    for folder in root.ancestors().chain(here.ancestors()) {
        places.extend([
            folder.join(file),
            folder.join("tokenizer").join(file),
            folder.join(&record.name).join(file),
            folder.join("tokenizers").join(&record.name).join(file),
            folder.join(&named),
        ]);
    }
    // The results of a pipeline are in one folder, and one of them may contain the tokenizer.
    for folder in [root.parent().unwrap_or(&root), &here] {
        let siblings =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut siblings: Vec<PathBuf> = siblings
            .flat_map(|path| [path.join(file), path.join("tokenizer").join(file)])
            .collect();
        siblings.sort();
        places.extend(siblings);
    }
    places
}

/// Returns the message about a missing tokenizer, and the hint how to give it.
pub(crate) fn missing(record: Option<&TokenizerRecord>) -> (String, String) {
    match record {
        None => (
            "no tokenizer with which to show ids as text".to_owned(),
            "name the one that made them with `--tokenizer`".to_owned(),
        ),
        Some(record) => (
            format!(
                "the tokenizer `{}` ({}) was not found, with which to show ids as text",
                record.name, record.semantics
            ),
            format!(
                "give the {} that made the artifact: `--tokenizer PATH`",
                match record.semantics {
                    Semantics::SentencePiece => "`.model`",
                    Semantics::Tiktoken => "`.tiktoken` file",
                    Semantics::MistralCommon => "`tekken.json`",
                    Semantics::Tokenizers | Semantics::Unknown => "`tokenizer.json`",
                }
            ),
        ),
    }
}

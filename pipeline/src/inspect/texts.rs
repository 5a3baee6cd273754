//! The texts that a user asks for: drawn texts, and texts that contain a phrase.

use ratdata_tokenize::tokenizer::Tokenizer;

use super::decode::{Shown, show_documents, show_rows};
use super::find::{find_in_bins, find_in_rows};
use super::preference::{preference_splits, show_pairs};
use super::subject::{SplitTokens, Subject};
use crate::failure::Failure;
use crate::interrupt;

/// The request for each split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// How many documents or rows are drawn, and with what seed.
    pub(crate) count: usize,
    pub(crate) seed: u64,
    /// The text to search for.
    pub(crate) find: Option<&'a str>,
}

/// Returns the requested documents, rows and findings, split by split.
///
/// # Errors
///
/// A file is missing or incomplete, or the user asked to stop.
pub(crate) fn texts(
    subject: &Subject,
    tokenizer: &Tokenizer,
    asked: Asked<'_>,
) -> Result<Vec<Shown>, Failure> {
    let Asked { count, seed, find } = asked;
    let mut shown = Vec::new();
    let pairs = subject.manifest().map(preference_splits).unwrap_or_default();
    for names in &pairs {
        shown.extend(show_pairs(subject, names, tokenizer, (count, seed))?);
    }
    for name in subject.parts() {
        match subject.open(&name)? {
            SplitTokens::Bins(set) => {
                if !pairs.as_flattened().contains(&name) {
                    shown.extend(show_documents(&set, &name, tokenizer, count, seed));
                }
                if let Some(wanted) = find {
                    shown.extend(find_in_bins(&set, &name, tokenizer, wanted)?);
                }
            }
            SplitTokens::Rows(set) => {
                shown.extend(show_rows(&set, &name, tokenizer, count, seed));
                if let Some(wanted) = find {
                    shown.extend(find_in_rows(&set, &name, tokenizer, wanted)?);
                }
            }
        }
        interrupt::check()?;
    }
    Ok(shown)
}

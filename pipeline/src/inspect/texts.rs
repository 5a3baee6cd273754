//! The texts that a user asks for: drawn ones, and those that hold something.

use ratdata_tokenize::tokenizer::Tokenizer;

use super::decode::{Shown, show_documents, show_rows};
use super::find::{find_in_bins, find_in_rows};
use super::subject::{Part, Subject};
use crate::failure::Failure;
use crate::interrupt;

/// What is asked for of each part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// How many documents or rows are drawn, and with what seed.
    pub(crate) count: usize,
    pub(crate) seed: u64,
    /// The text that is looked for.
    pub(crate) find: Option<&'a str>,
}

/// Returns the documents, rows or findings that were asked for, part by part.
///
/// # Errors
///
/// A file is not there or not whole, or the user asked to stop.
pub(crate) fn texts(
    subject: &Subject,
    tokenizer: &Tokenizer,
    asked: Asked<'_>,
) -> Result<Vec<Shown>, Failure> {
    let Asked { count, seed, find } = asked;
    let mut shown = Vec::new();
    for name in subject.parts() {
        match subject.open(&name)? {
            Part::Bins(set) => {
                shown.extend(show_documents(&set, &name, tokenizer, count, seed));
                if let Some(wanted) = find {
                    shown.extend(find_in_bins(&set, &name, tokenizer, wanted)?);
                }
            }
            Part::Rows(set) => {
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

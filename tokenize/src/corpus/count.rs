//! Tells which rows are documents, and counts those of a file, so that no more files are fetched
//! than a limit needs.

use super::fim::FimPlan;
use crate::source::{Cell, Source, SourceError, SourceFile};
use crate::tokenizer::Tokenizer;
use ratdata_schemas::recipe::{OnBadRow, Tokenize};

/// Returns how many documents a job takes of a file, counted up to `most`.
///
/// # Errors
///
/// The file cannot be read or is damaged.
pub fn count_documents(
    config: &Tokenize,
    (tokenizer, fim): (&Tokenizer, Option<&FimPlan>),
    file: &SourceFile,
    most: u64,
) -> Result<u64, SourceError> {
    let source = Source::open(file, &config.text_column)?;
    let skips = config.on_bad_row == OnBadRow::Skip;
    // Of texts, empty files are left out in any case.
    let texts = matches!(source, Source::Texts(_));
    if let (Some(rows), false, false) = (source.num_rows(), skips, texts) {
        return Ok(rows.min(most));
    }
    let taken = |cell: &Cell| match source.text(cell, config.on_bad_row.into()) {
        Ok(read) => is_document(config, (tokenizer, fim), &read.text),
        // The job will fail at it, wherever it is counted.
        Err(bad) => !skips && !bad.is_empty(),
    };
    let mut count = 0;
    for part in 0..source.num_parts() {
        source.read_part(part, &|| false, &mut |rows| {
            for cell in &rows.cells {
                count += u64::from(!skips && !texts || taken(cell));
            }
            count < most
        })?;
        if count >= most {
            break;
        }
    }
    Ok(count.min(most))
}

/// Returns whether a job makes a document of a row's text: not where it leaves bad rows out and the
/// text is refused, as for a special token in it; `fim` is how the job parts documents, if it does.
pub fn is_document(
    config: &Tokenize,
    (tokenizer, fim): (&Tokenizer, Option<&FimPlan>),
    text: &str,
) -> bool {
    let checked = || match fim {
        Some(fim) => fim.check(text),
        None => tokenizer.check(text, config.special_in_text),
    };
    config.on_bad_row != OnBadRow::Skip || !checked().is_err_and(|wrong| wrong.is_of_row())
}

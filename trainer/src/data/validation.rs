//! The validation parts of the sources, as batches.

use super::batch::{Batch, Draw};
use super::error::DataError;
use super::source::Source;
use super::split::Scratch;

/// Reads the validation parts in order, in batches of `size`. The last batch may be smaller, and
/// `limit` bounds the sequences of each source.
///
/// # Errors
/// Each batch is a [`DataError::Id`] where a sequence has an id outside the vocabulary.
pub fn validation_batches(
    sources: &[Source],
    seq_len: usize,
    size: usize,
    limit: u64,
) -> impl Iterator<Item = Result<Batch, DataError>> + '_ {
    let rows = sources.iter().enumerate().filter_map(move |(number, source)| {
        source.validation.as_ref().map(|split| (number, split.len().min(limit)))
    });
    let mut draws = rows.flat_map(|(source, rows)| (0..rows).map(move |row| Draw { source, row }));
    let mut scratch = Scratch::default();
    std::iter::from_fn(move || {
        let drawn: Vec<Draw> = draws.by_ref().take(size).collect();
        if drawn.is_empty() {
            return None;
        }
        let mut batch = Batch::sized(drawn.len(), seq_len);
        for (at, draw) in drawn.into_iter().enumerate() {
            if let Some(split) = &sources[draw.source].validation
                && let Err(wrong) = batch.fill(at, split, draw, &mut scratch)
            {
                return Some(Err(wrong));
            }
        }
        Some(Ok(batch))
    })
}

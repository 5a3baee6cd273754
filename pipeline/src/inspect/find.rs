//! Finds where a text occurs: in documents, in rows, and in streams without an index.

use ratdata_schemas::{BinSet, Row, RowSet, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use rayon::prelude::*;

use super::decode::Shown;
use super::excerpts::{WINDOW, ids_from, is_indexed, range_of};
use crate::failure::Failure;
use crate::interrupt;

/// The most places that are shown.
const MOST_FOUND: usize = 10;

/// How many bytes are shown on each side of the text that was found.
const AROUND: usize = 120;

/// How many documents, rows or windows are decoded before the results are checked.
const BATCH: u64 = 4096;

/// Finds the first documents whose text contains `wanted`; in a stream without an index, the first
/// places.
pub(super) fn find_in_bins(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    wanted: &str,
) -> Result<Vec<Shown>, Failure> {
    if !is_indexed(set) {
        let windows = set.num_tokens().div_ceil(WINDOW as u64);
        return first_of(windows, |window| in_window(set, split, tokenizer, wanted, window));
    }
    first_of(set.num_documents(), |document| {
        let (start, len) = range_of(set, document)?;
        let mut ids = vec![0; len];
        set.copy_tokens(start, &mut ids).then_some(())?;
        let text = tokenizer.decode(&ids);
        let at = text.find(wanted)?;
        let place = format!("{split} document {document}, {len} tokens from {start}");
        Some(around(place, &text, at, wanted))
    })
}

/// Finds the first rows whose text contains `wanted`.
pub(super) fn find_in_rows(
    set: &RowSet,
    split: &str,
    tokenizer: &Tokenizer,
    wanted: &str,
) -> Result<Vec<Shown>, Failure> {
    first_of(set.num_rows(), |number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        let text = tokenizer.decode(row.text());
        let at = text.find(wanted)?;
        let column = tokens_before(tokenizer, row.text(), at);
        let place = format!("{split} row {number}, column {column} of {}", row.inputs.len());
        Some(around(place, &text, at, wanted))
    })
}

/// Searches one window, and the beginning of the next one as far as the text could reach.
///
/// Windows overlap, so that a text across two windows is found. A text that begins in the next window
/// belongs to the next window.
fn in_window(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    wanted: &str,
    window: u64,
) -> Option<Shown> {
    let start = window * WINDOW as u64;
    // A text has at most one token for each byte, and a few around it.
    let ids = ids_from(set, start, WINDOW + wanted.len() + 8)?;
    let text = tokenizer.decode(&ids);
    let at = text.find(wanted)?;
    let token = tokens_before(tokenizer, &ids, at);
    (token < WINDOW)
        .then(|| around(format!("{split} token {}", start + token as u64), &text, at, wanted))
}

/// Returns how many of the ids are completely before a byte of their text.
fn tokens_before(tokenizer: &Tokenizer, ids: &[TokenId], at: usize) -> usize {
    let (mut low, mut high) = (0, ids.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if tokenizer.decode(&ids[..middle]).len() <= at { low = middle } else { high = middle - 1 }
    }
    low
}

/// Searches `0..all` in parallel and in batches, until enough places are found.
fn first_of(all: u64, look: impl Fn(u64) -> Option<Shown> + Sync) -> Result<Vec<Shown>, Failure> {
    let mut found = Vec::new();
    let mut first = 0;
    while first < all && found.len() < MOST_FOUND {
        let last = all.min(first + BATCH);
        let here: Vec<Shown> = (first..last)
            .into_par_iter()
            .filter_map(|number| if interrupt::asked() { None } else { look(number) })
            .collect();
        interrupt::check()?;
        found.extend(here);
        first = last;
    }
    found.truncate(MOST_FOUND);
    Ok(found)
}

fn around(place: String, text: &str, at: usize, wanted: &str) -> Shown {
    let from = text.floor_char_boundary(at.saturating_sub(AROUND));
    let end = at + wanted.len();
    let to = text.ceil_char_boundary((end + AROUND).min(text.len()));
    let part = |trained, text: &str| (trained, text.to_owned());
    let parts =
        vec![part(false, &text[from..at]), part(true, &text[at..end]), part(false, &text[end..to])];
    Shown { place, parts, more: to < text.len() }
}

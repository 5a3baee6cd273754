//! Shows documents and rows as text, with what is learnt set apart from what is not.

use ratdata_schemas::{BinSet, Row, RowSet, TokenId};
use ratdata_tokenize::order::permutation;
use ratdata_tokenize::tokenizer::Tokenizer;
use rayon::prelude::*;
use serde::Serialize;

use crate::ui::Painted;

/// How many tokens of a document are shown.
const SHOWN: usize = 160;

/// At most this many places where a text was found.
const MOST_FOUND: usize = 10;

/// A stretch of tokens as text.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    /// Where it stands.
    pub(crate) place: String,
    /// Its stretches: whether they are learnt, and their text.
    pub(crate) parts: Vec<(bool, String)>,
    /// Whether more follows.
    pub(crate) more: bool,
}

impl Painted for Shown {
    /// Returns the text with the learnt parts painted, or between marks where there is no colour.
    ///
    /// Where all of it is learnt there is nothing to tell apart.
    fn painted(&self, color: bool) -> String {
        let mut text = format!("── {}\n", self.place);
        let mixed = self.parts.iter().any(|(learnt, _)| !learnt);
        for (learnt, part) in &self.parts {
            match (mixed && *learnt, color) {
                (true, true) => text.extend(["\u{1b}[1;32m", part, "\u{1b}[0m"]),
                (true, false) => text.extend(["⟦", part, "⟧"]),
                (false, true) if mixed => text.extend(["\u{1b}[2m", part, "\u{1b}[0m"]),
                (false, _) => text.push_str(part),
            }
        }
        if self.more {
            text.push_str(" …");
        }
        text
    }
}

impl Shown {
    fn of(
        place: String,
        tokenizer: &Tokenizer,
        ids: &[TokenId],
        learnt: &[bool],
        more: bool,
    ) -> Self {
        let mut parts: Vec<(bool, Vec<TokenId>)> = Vec::new();
        for (&id, &learnt) in ids.iter().zip(learnt) {
            match parts.last_mut() {
                Some((last, stretch)) if *last == learnt => stretch.push(id),
                _ => parts.push((learnt, vec![id])),
            }
        }
        let text = |(learnt, ids): (bool, Vec<TokenId>)| (learnt, plain(&tokenizer.decode(&ids)));
        Self { place, parts: parts.into_iter().map(text).collect(), more }
    }
}

/// Takes control characters out of a text: a document must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(
            |char| {
                if char.is_control() && char != '\n' && char != '\t' { '\u{fffd}' } else { char }
            },
        )
        .collect()
}

/// Shows `count` documents drawn with `seed`.
pub(crate) fn show_documents(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Shown> {
    let documents = u32::try_from(set.num_documents()).unwrap_or(u32::MAX);
    let order = permutation(seed, documents.min(1 << 20));
    let spread = (documents >> 20).max(1);
    let mut shown = Vec::new();
    for number in order.into_iter().take(count) {
        let document = number * spread;
        let Some((start, len)) = range_of(set, u64::from(document)) else { continue };
        let take = len.min(SHOWN);
        let (mut ids, mut learnt) = (vec![0; take], vec![true; take]);
        if set.copy_tokens(start, &mut ids) && set.copy_mask(start, &mut learnt) {
            let place = format!("{split} document {document}, {len} tokens from {start}");
            shown.push(Shown::of(place, tokenizer, &ids, &learnt, take < len));
        }
    }
    shown
}

/// Returns where document `document` of the stream begins, and its length.
pub(crate) fn range_of(set: &BinSet, mut document: u64) -> Option<(u64, usize)> {
    for shard in set.shards() {
        let index = shard.index()?;
        let here = index.len() as u64;
        if document < here {
            let range = index.range(usize::try_from(document).ok()?)?;
            let len = usize::try_from(range.end - range.start).ok()?;
            return Some((shard.first_token() + range.start, len));
        }
        document -= here;
    }
    None
}

/// Shows `count` rows drawn with `seed`.
pub(crate) fn show_rows(
    set: &RowSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Shown> {
    let rows = u32::try_from(set.num_rows()).unwrap_or(u32::MAX);
    let mut row = Row::default();
    let mut shown = Vec::new();
    for number in permutation(seed, rows).into_iter().take(count) {
        set.read(number.into(), &mut row);
        let end = row.document_ends.last().copied().unwrap_or(0) as usize;
        // A token is learnt where the position before it has it as its label.
        let before = row.labels[..end].iter().map(|&label| label >= 0);
        let learnt: Vec<bool> = std::iter::once(false).chain(before).take(end).collect();
        // What is learnt stands at the end of most rows: show the end.
        let from = end.saturating_sub(2 * SHOWN);
        let place = format!(
            "{split} row {number}, {end} of {} tokens in {} documents, the last {}",
            row.inputs.len(),
            row.document_ends.len(),
            end - from
        );
        shown.push(Shown::of(place, tokenizer, &row.inputs[from..end], &learnt[from..], false));
    }
    shown
}

/// Finds the first documents whose text holds `wanted`.
pub(crate) fn find_text(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    wanted: &str,
) -> Vec<Shown> {
    let documents = set.num_documents();
    let mut found = Vec::new();
    let mut first = 0;
    while first < documents && found.len() < MOST_FOUND {
        let last = documents.min(first + 4096);
        let mut here: Vec<Shown> = (first..last)
            .into_par_iter()
            .filter_map(|document| {
                let (start, len) = range_of(set, document)?;
                let mut ids = vec![0; len];
                set.copy_tokens(start, &mut ids).then_some(())?;
                let text = tokenizer.decode(&ids);
                let at = text.find(wanted)?;
                let from = text.floor_char_boundary(at.saturating_sub(120));
                let to = text.ceil_char_boundary((at + wanted.len() + 120).min(text.len()));
                let end = at + wanted.len();
                let part = |learnt, text: &str| (learnt, plain(text));
                let parts = vec![
                    part(false, &text[from..at]),
                    part(true, &text[at..end]),
                    part(false, &text[end..to]),
                ];
                let place = format!("{split} document {document}, {len} tokens from {start}");
                Some(Shown { place, parts, more: to < text.len() })
            })
            .collect();
        found.append(&mut here);
        first = last;
    }
    found.truncate(MOST_FOUND);
    found
}

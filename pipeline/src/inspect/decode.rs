//! Shows documents and rows as text, and marks the text that is trained on.

use ratdata_schemas::{BinSet, Row, RowSet, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use super::excerpts::{draw, numbers};
use crate::plain::plain;
use crate::ui::Painted;

/// How many tokens of a document are shown.
pub(super) const SHOWN: usize = 160;

/// Some tokens as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// Where the tokens are.
    pub(crate) place: String,
    /// The text in parts: whether each part is trained on, and its text.
    pub(crate) parts: Vec<(bool, String)>,
    /// Whether more follows.
    pub(crate) more: bool,
}

impl Painted for Shown {
    /// Returns the text. Parts that are trained on are green, or between marks without color.
    ///
    /// Nothing is marked if all of the text is trained on.
    fn painted(&self, color: bool) -> String {
        let mut text = format!("── {}\n", plain(&self.place));
        let mixed = self.parts.iter().any(|(trained, _)| !trained);
        for (trained, part) in &self.parts {
            let part = &*plain(part);
            match (mixed && *trained, color) {
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
    pub(super) fn of(
        place: String,
        tokenizer: &Tokenizer,
        ids: &[TokenId],
        trained: &[bool],
        more: bool,
    ) -> Self {
        let mut parts: Vec<(bool, Vec<TokenId>)> = Vec::new();
        for (&id, &trained) in ids.iter().zip(trained) {
            match parts.last_mut() {
                Some((last, stretch)) if *last == trained => stretch.push(id),
                _ => parts.push((trained, vec![id])),
            }
        }
        let text = |(trained, ids): (bool, Vec<TokenId>)| (trained, tokenizer.decode(&ids));
        Self { place, parts: parts.into_iter().map(text).collect(), more }
    }
}

/// Shows `count` documents drawn with `seed`; or windows, if nothing says where documents are.
pub(super) fn show_documents(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Shown> {
    let mut shown = Vec::new();
    for place in draw(set, tokenizer.eos(), count, seed) {
        let take = place.len.min(SHOWN);
        let (mut ids, mut trained) = (vec![0; take], vec![true; take]);
        if set.copy_tokens(place.start, &mut ids) && set.copy_mask(place.start, &mut trained) {
            let what = format!("{split} {}, {} tokens from {}", place.name, place.len, place.start);
            shown.push(Shown::of(what, tokenizer, &ids, &trained, take < place.len));
        }
    }
    shown
}

/// Shows `count` rows drawn with `seed`.
pub(super) fn show_rows(
    set: &RowSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Shown> {
    let mut row = Row::default();
    let mut shown = Vec::new();
    for number in numbers(set.num_rows(), count, seed) {
        set.read(number, &mut row);
        let (text, trained) = (row.text(), row.trained());
        let end = text.len();
        // Most rows have the text that is trained on at the end, so the end is shown.
        let from = end.saturating_sub(2 * SHOWN);
        let place = format!(
            "{split} row {number}, {end} of {} tokens in {} documents, the last {}",
            row.inputs.len(),
            row.document_ends.len(),
            end - from
        );
        shown.push(Shown::of(place, tokenizer, &text[from..], &trained[from..], false));
    }
    shown
}

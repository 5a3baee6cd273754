//! Documents and rows as tokens: each with its text, its piece, and whether it is trained on.

use ratdata_schemas::{BinSet, Row, RowSet, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::inspect::{draw, numbers};

/// How many tokens of a document or row are shown.
const SHOWN: usize = 240;

/// Some tokens of a document or row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    place: String,
    tokens: Vec<Token>,
    more: bool,
}

/// One token, or several tokens that share a character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Token {
    text: String,
    trained: bool,
    special: bool,
    about: String,
}

impl Sample {
    /// Returns whether some token is not trained on.
    pub(crate) fn masked(&self) -> bool {
        self.tokens.iter().any(|token| !token.trained)
    }
}

/// Draws documents of a stream.
pub(crate) fn of_documents(
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    for place in draw(set, tokenizer.eos(), count, seed) {
        let take = place.len.min(SHOWN);
        let (mut ids, mut trained) = (vec![0; take], vec![true; take]);
        if set.copy_tokens(place.start, &mut ids) && set.copy_mask(place.start, &mut trained) {
            samples.push(Sample {
                place: format!(
                    "{split}, {}: {} tokens from {}",
                    place.name, place.len, place.start
                ),
                tokens: tokens_of(tokenizer, &ids, &trained),
                more: take < place.len,
            });
        }
    }
    samples
}

/// Draws rows. Of a long row the end is shown, which has most of the text that is trained on.
pub(crate) fn of_rows(
    set: &RowSet,
    split: &str,
    tokenizer: &Tokenizer,
    count: usize,
    seed: u64,
) -> Vec<Sample> {
    let mut row = Row::default();
    let mut samples = Vec::new();
    for number in numbers(set.num_rows(), count, seed) {
        set.read(number, &mut row);
        let (text, trained) = (row.text(), row.trained());
        let end = text.len();
        let from = end.saturating_sub(SHOWN);
        samples.push(Sample {
            place: format!(
                "{split}, row {number}: columns {from} to {end} of {}, {} documents",
                row.inputs.len(),
                row.document_ends.len()
            ),
            tokens: tokens_of(tokenizer, &text[from..], &trained[from..]),
            more: false,
        });
    }
    samples
}

/// Divides the text of ids among them: decodes more and more ids, and takes the new text each time.
fn tokens_of(tokenizer: &Tokenizer, ids: &[TokenId], trained: &[bool]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut first = 0;
    let mut before = String::new();
    for end in 1..=ids.len() {
        let group = &ids[first..end];
        let text = tokenizer.decode(&ids[..end]);
        // The first bytes of a character decode to U+FFFD until the character is complete.
        let whole = !text.ends_with('\u{fffd}') || group.len() >= 4;
        let mask_ends = trained.get(end) != trained.get(first);
        if !whole && !mask_ends && end < ids.len() {
            continue;
        }
        let own = match text.strip_prefix(&before) {
            Some(own) => own.to_owned(),
            None => tokenizer.decode(group),
        };
        let named = |&id: &TokenId| {
            let piece = tokenizer.piece(id).unwrap_or("not in the vocabulary");
            format!("id {id}: {}", visible(piece))
        };
        tokens.push(Token {
            text: visible(&own),
            trained: trained.get(first).copied().unwrap_or(true),
            special: group.iter().any(|&id| tokenizer.is_special(id)),
            about: group.iter().map(named).collect::<Vec<_>>().join(" · "),
        });
        (first, before) = (end, text);
    }
    tokens
}

/// Makes line ends visible, and removes control characters and marks that change the direction of text.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => shown.push_str("↵\n"),
            '\t' => shown.push('\t'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.push('\u{fffd}'),
            _ if char.is_control() => shown.push('\u{fffd}'),
            _ => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_text_is_taken_out() {
        assert_eq!(visible("a\nb\u{202e}c\u{1b}[31m"), "a↵\nb\u{fffd}c\u{fffd}[31m");
    }
}

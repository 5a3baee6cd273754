//! The ids of added tokens, as Hugging Face `tokenizers` gives them.
//!
//! The ids that a file gives its added tokens are ignored. Loading adds the tokens one
//! after the other to a vocabulary of N pieces: one that is a piece has that piece's id, and the others
//! get N, N + 1 and so on, whether or not the vocabulary has such an id already. One that comes again
//! keeps its id and takes the new flags.

use std::mem;

use ratdata_schemas::{TokenId, narrow};
use rustc_hash::FxHashMap as HashMap;

use super::file::{AddedEntry, Vocabulary};
use crate::tokenizer::added::token::AddedToken;

/// The added tokens of a file.
pub(crate) struct Added {
    /// In the order of the file, one an id.
    pub(crate) tokens: Vec<AddedToken>,
    /// The tokens that have another id than the file says.
    pub(crate) moved: Option<Moved>,
}

/// Tokens that have another id than the file says.
pub(crate) struct Moved {
    pub(crate) count: usize,
    /// The first of them, with its id.
    pub(crate) first: AddedToken,
    /// The id that the file gives it.
    pub(crate) said: TokenId,
}

/// Numbers the added tokens of a file.
pub(crate) fn number(entries: &[AddedEntry], vocabulary: Option<&Vocabulary<'_>>) -> Added {
    let listed: HashMap<&str, TokenId> = match vocabulary {
        Some(Vocabulary::Scored(list)) => {
            list.iter().map(|(piece, _)| piece.as_str()).zip(0..).collect()
        }
        _ => HashMap::default(),
    };
    let piece_id = |content: &str| match vocabulary {
        Some(Vocabulary::Ids(ids)) => ids.get(content).copied(),
        _ => listed.get(content).copied(),
    };
    let mut next = vocabulary.map_or(0, Vocabulary::len);
    let mut by_content: HashMap<&str, (TokenId, bool)> = HashMap::default();
    let mut by_id: HashMap<TokenId, usize> = HashMap::default();
    let mut tokens: Vec<AddedToken> = Vec::new();
    let mut moved: Option<Moved> = None;
    for entry in entries.iter().filter(|entry| !entry.content.is_empty()) {
        let content = entry.content.as_str();
        let known = by_content.get(content).copied();
        let id = known.map(|(id, _)| id).or_else(|| piece_id(content)).unwrap_or_else(|| {
            next += 1;
            narrow(next - 1)
        });
        // Once special, a text stays so.
        let special = entry.special || known.is_some_and(|(_, special)| special);
        by_content.insert(content, (id, special));
        let token = AddedToken {
            id,
            content: entry.content.clone(),
            special,
            normalized: entry.normalized,
            replaced: Vec::new(),
        };
        if id != entry.id && known.is_none() {
            let first = || Moved { count: 0, first: token.clone(), said: entry.id };
            moved.get_or_insert_with(first).count += 1;
        }
        // Where two have one id, the later one is the only one that is looked for.
        if let Some(&place) = by_id.get(&id) {
            let before = mem::replace(&mut tokens[place], token);
            let texts = before.normalized.then_some(before.content);
            tokens[place].replaced = before.replaced.into_iter().chain(texts).collect();
        } else {
            by_id.insert(id, tokens.len());
            tokens.push(token);
        }
    }
    Added { tokens, moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: TokenId, content: &str, special: bool) -> AddedEntry {
        AddedEntry {
            id,
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special,
        }
    }

    fn numbered(entries: &[AddedEntry], json: &str) -> Vec<(TokenId, String, bool)> {
        let vocabulary: Vocabulary<'_> = serde_json::from_str(json).unwrap();
        let tokens = number(entries, Some(&vocabulary)).tokens;
        tokens.into_iter().map(|token| (token.id, token.content, token.special)).collect()
    }

    #[test]
    fn ids_continue_from_the_number_of_pieces_whatever_the_file_says() {
        let entries = [
            entry(70_000, "<far>", true),
            entry(1, "b", false),
            entry(5, "", true),
            entry(2, "<next>", false),
            entry(9, "<far>", false),
        ];

        let ids = numbered(&entries, r#"{"a": 0, "b": 7}"#);

        let expected = [(2, "<far>", true), (7, "b", false), (3, "<next>", false)];
        assert_eq!(ids, expected.map(|(id, text, special)| (id, text.to_owned(), special)));
    }

    #[test]
    fn of_two_tokens_with_one_id_the_later_is_there() {
        let entries = [entry(2, "c", false), entry(9, "<far>", true)];

        let ids = numbered(&entries, r#"{"a": 0, "c": 2}"#);

        assert_eq!(ids, [(2, "<far>".to_owned(), true)]);
    }

    #[test]
    fn a_token_keeps_the_texts_of_normalized_tokens_that_it_replaces() {
        let normalized = |content| AddedEntry { normalized: true, ..entry(9, content, false) };
        let entries = [normalized("x"), entry(9, "c", false), normalized("c"), normalized("y")];
        let vocabulary: Vocabulary<'_> = serde_json::from_str(r#"{"a": 0, "c": 2}"#).unwrap();

        let tokens = number(&entries, Some(&vocabulary)).tokens;

        assert_eq!(tokens[0].replaced, ["x"]);
        assert_eq!(tokens[1].replaced, [""; 0]);
    }

    #[test]
    fn a_token_that_a_unigram_model_lists_twice_has_the_later_id() {
        let ids = numbered(&[entry(0, "x", false)], r#"[["x", 0.0], ["y", -1.0], ["x", -2.0]]"#);

        assert_eq!(ids, [(2, "x".to_owned(), false)]);
    }
}

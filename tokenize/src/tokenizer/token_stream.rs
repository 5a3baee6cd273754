//! Text from tokens that come one by one, without decoding the tokens before again.

use std::sync::Arc;

use ratdata_schemas::{TokenId, Tokens};

use super::decoder::Partial;
use super::loaded::Loaded;

/// What replaces bytes that are not UTF-8, such as the first ones of a letter.
const REPLACED: char = '\u{fffd}';

/// The text of tokens so far.
///
/// At each token, [`settled`](TokenStream::settled) and [`unsettled`](TokenStream::unsettled) together
/// are the text of all tokens so far. What is settled stays as it is: the first bytes of a letter are
/// not settled.
///
/// A few decoders, such as `WordPiece`'s, are Hugging Face's code, which decodes all tokens for each.
#[derive(Clone, Debug)]
pub struct TokenStream {
    loaded: Arc<Loaded>,
    settled: String,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The table decodes token by token.
    Table(Partial),
    /// The oracle decodes all tokens; the first `context` of them are the text before.
    Oracle { ids: Vec<TokenId>, context: usize, unsettled: String },
}

impl TokenStream {
    /// Begins a text that follows the text of a prompt.
    pub(super) fn new(loaded: Arc<Loaded>, prompt: &[TokenId]) -> Self {
        let is_text = |id: &&TokenId| !loaded.vocabulary.added.is_special(**id);
        let before = prompt.iter().rfind(is_text).copied();
        let state = if let Some(decoder) = loaded.decoder() {
            State::Table(decoder.begin(before.is_some()))
        } else {
            let ids: Vec<TokenId> = before.into_iter().collect();
            State::Oracle { context: ids.len(), ids, unsettled: String::new() }
        };
        Self { loaded, settled: String::new(), state }
    }

    /// Adds a token.
    pub fn push(&mut self, id: TokenId) {
        match &mut self.state {
            State::Table(partial) => {
                if let Some(decoder) = self.loaded.decoder() {
                    decoder.decode_next(partial, id, &mut self.settled);
                }
            }
            State::Oracle { ids, context, unsettled } => {
                ids.push(id);
                let whole = self.loaded.decode(Tokens::U32(ids));
                let before = self.loaded.decode(Tokens::U32(&ids[..*context]));
                let text = match whole.strip_prefix(&before) {
                    Some(added) => added.to_owned(),
                    None => self.loaded.decode(Tokens::U32(&ids[*context..])),
                };
                let settled = text.trim_end_matches(REPLACED).len();
                text[settled..].clone_into(unsettled);
                text[..settled].clone_into(&mut self.settled);
            }
        }
    }

    /// Adds a token, unless it is a special one, which has no text.
    pub fn push_text(&mut self, id: TokenId) {
        if !self.loaded.vocabulary.added.is_special(id) {
            self.push(id);
        }
    }

    /// Returns the text that no later token changes.
    pub fn settled(&self) -> &str {
        &self.settled
    }

    /// Returns the text behind what is settled, as if no token followed.
    pub fn unsettled(&self) -> String {
        match &self.state {
            State::Table(partial) => {
                let decoder = self.loaded.decoder();
                decoder.map(|decoder| decoder.unsettled(partial)).unwrap_or_default()
            }
            State::Oracle { unsettled, .. } => unsettled.clone(),
        }
    }
}

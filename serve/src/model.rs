//! What is served.

use std::time::{SystemTime, UNIX_EPOCH};

use ratdata_schemas::TokenId;
use ratdata_tokenize::sft::ChatTemplate;
use ratdata_tokenize::tokenizer::Tokenizer;

/// A model, and the text that belongs to it.
#[derive(Debug)]
pub struct ServedModel {
    /// Its name on the wire.
    pub name: String,
    /// The tokenizer that it was trained with.
    pub tokenizer: Tokenizer,
    /// How it writes conversations; none where nobody says.
    pub template: Option<ChatTemplate>,
    /// The special tokens that the template closes the assistant's turns with.
    pub turn_ends: Vec<TokenId>,
    /// How many tokens a prompt and its continuation have together, at most.
    pub longest: usize,
    /// The ids are below this number.
    pub vocab_size: usize,
}

impl ServedModel {
    /// Returns the ids that end a text.
    pub(crate) fn ends(&self) -> Vec<TokenId> {
        self.tokenizer.eos().into_iter().collect()
    }

    /// Returns the text of an id as the vocabulary writes it.
    pub(crate) fn piece(&self, id: Option<TokenId>) -> Option<&str> {
        id.and_then(|id| self.tokenizer.piece(id))
    }
}

/// Returns the seconds since 1970, which answers state as the time they were made.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

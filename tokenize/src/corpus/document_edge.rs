//! The ids at the beginning and the end of each document.

use ratdata_schemas::TokenId;
use ratdata_schemas::recipe::Edge;

use super::error::JobError;
use crate::tokenizer::Tokenizer;

/// Returns the id for one end of a document: the one that is asked for, or the tokenizer's own.
pub(super) fn edge(
    wanted: &Edge,
    own: Option<TokenId>,
    tokenizer: &Tokenizer,
    (what, option): (&'static str, &'static str),
) -> Result<Option<TokenId>, JobError> {
    match wanted {
        Edge::Switch(false) => Ok(own),
        Edge::Switch(true) if own.is_some() => Ok(own),
        Edge::Switch(true) => Err(JobError::NoSpecial { what, option }),
        Edge::Token(token) => match tokenizer.id_of(token) {
            Some(id) => Ok(Some(id)),
            None => Err(JobError::UnknownToken {
                token: token.clone(),
                option,
                specials: tokenizer.specials().take(8).map(str::to_owned).collect(),
            }),
        },
    }
}

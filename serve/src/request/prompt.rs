//! Prompts: a text, a list of texts, a list of ids, or a list of lists of ids.

use std::sync::Arc;

use ratdata_schemas::TokenId;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::Value;

use super::fields::{Fields, wrong};
use crate::api_error::ApiError;

/// The field.
pub(super) const PROMPT: &str = "prompt";

/// A prompt, as ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) ids: Vec<TokenId>,
    /// Its text, where the client gave that.
    pub(super) text: Option<Arc<str>>,
}

impl Prompt {
    /// Returns the text, of ids as their tokens are written.
    pub(super) fn shown(&self, tokenizer: &Tokenizer) -> Arc<str> {
        self.text.clone().unwrap_or_else(|| tokenizer.decode(&self.ids).into())
    }
}

/// Reads the prompts of a request.
pub(super) fn read(fields: &Fields, tokenizer: &Tokenizer) -> Result<Vec<Prompt>, ApiError> {
    let expected = "a text, a list of texts, a list of ids or a list of lists of ids";
    let Some(value) = fields.get(PROMPT) else {
        return Err(ApiError::of_field(PROMPT, format!("`{PROMPT}` is missing: {expected}")));
    };
    let refused = || wrong(PROMPT, value, expected);
    let text = |text: &str| encode(text, tokenizer, PROMPT);
    match value {
        Value::String(one) => Ok(vec![text(one)?]),
        Value::Array(list) => match list.first() {
            Some(Value::String(_)) => {
                list.iter().map(|one| text(one.as_str().ok_or_else(refused)?)).collect()
            }
            Some(Value::Number(_)) => Ok(vec![ids(list).ok_or_else(refused)?]),
            Some(Value::Array(_)) => list
                .iter()
                .map(|one| one.as_array().and_then(|list| ids(list)).ok_or_else(refused))
                .collect(),
            _ => Err(refused()),
        },
        _ => Err(refused()),
    }
}

/// Encodes a text; a special token in it becomes its id, as in training.
pub(super) fn encode(text: &str, tokenizer: &Tokenizer, field: &str) -> Result<Prompt, ApiError> {
    let ids = tokenizer.encode(text).map_err(|wrong| {
        ApiError::of_field(field, format!("the text cannot be encoded: {wrong}"))
    })?;
    Ok(Prompt { ids, text: Some(text.into()) })
}

fn ids(list: &[Value]) -> Option<Prompt> {
    let id = |value: &Value| TokenId::try_from(value.as_u64()?).ok();
    Some(Prompt { ids: list.iter().map(id).collect::<Option<_>>()?, text: None })
}

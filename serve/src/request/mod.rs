//! Requests: JSON becomes rows for the model, or an error that names the field.
//!
//! A field that is not known is ignored, as other servers do. A field that is known, would change the
//! answer and cannot be honoured is refused.

mod chat;
mod completion;
mod fields;
mod prompt;
mod sampling;

pub(crate) use chat::read as chat;
pub(crate) use completion::read as completion;
pub(crate) use fields::{Fields, wrong};

use std::sync::Arc;

use hyper::StatusCode;
use ratdata_schemas::{GenerationRequest, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::api_error::ApiError;
use crate::model::ServedModel;
use crate::settings::Limits;

/// Encodes the text of the field `prompt`.
pub(crate) fn encode(text: &str, tokenizer: &Tokenizer) -> Result<Vec<TokenId>, ApiError> {
    Ok(prompt::encode(text, tokenizer, prompt::PROMPT)?.ids)
}

/// A request that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// A row for each prompt and copy, prompt after prompt.
    pub(crate) rows: Vec<GenerationRequest>,
    /// The text of each row's prompt, where the answer begins with it.
    pub(crate) echoes: Option<Vec<Arc<str>>>,
    /// The texts that end an answer.
    pub(crate) stops: Arc<[String]>,
    /// How many tokens the prompts have together, each counted once.
    pub(crate) prompt_tokens: usize,
    /// How the answer is sent.
    pub(crate) delivery: Delivery,
    /// What the answer looks like.
    pub(crate) form: Form,
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Texts.
    Completion,
    /// Messages of the assistant.
    Chat,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// When it is whole.
    Whole,
    /// As it comes; `usage` adds the counts of tokens at the end.
    Stream { usage: bool },
}

/// What rows are made of.
pub(crate) struct Context<'a> {
    pub(crate) model: &'a ServedModel,
    pub(crate) limits: &'a Limits,
}

impl Context<'_> {
    /// Checks a prompt, and returns how many tokens may follow it.
    ///
    /// `asked` is what the client asks for; where it says nothing, `usual` or as many as there is room
    /// for.
    pub(crate) fn room(
        &self,
        field: &str,
        prompt: &[TokenId],
        asked: Option<usize>,
        usual: usize,
    ) -> Result<usize, ApiError> {
        if prompt.is_empty() {
            let message = "the prompt is empty: a model continues a text of at least one token";
            return Err(ApiError::of_field(field, message));
        }
        let size = self.model.vocab_size;
        if let Some(id) = prompt.iter().find(|&&id| id as usize >= size) {
            let message = format!("the prompt has the id {id}, the model's ids are below {size}");
            return Err(ApiError::of_field(field, message));
        }
        let (len, longest) = (prompt.len(), self.model.longest);
        let too_long = |message: String| {
            Err(ApiError::of_field(field, message).coded("context_length_exceeded"))
        };
        if len > self.limits.prompt {
            let most = self.limits.prompt;
            return too_long(format!("the prompt has {len} tokens, this server takes {most}"));
        }
        if len > longest {
            return too_long(format!(
                "the prompt has {len} tokens, the model was trained on sequences of {longest}"
            ));
        }
        let room = longest - len;
        let wanted = asked.unwrap_or_else(|| usual.min(room));
        if wanted > room {
            return too_long(format!(
                "the prompt has {len} tokens and {wanted} new ones are asked for, the model was \
                 trained on sequences of {longest}"
            ));
        }
        Ok(wanted)
    }

    /// Refuses a request for more rows than the server ever takes.
    pub(crate) fn check_rows(&self, rows: usize) -> Result<(), ApiError> {
        let most = self.limits.rows;
        if rows > most {
            let message =
                format!("the request asks for {rows} answers, this server makes {most} at a time");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "too_many_answers", message));
        }
        Ok(())
    }
}

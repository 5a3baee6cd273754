//! `/v1/chat/completions`: a conversation becomes a prompt by the run's chat template.

use ratdata_schemas::{GenerationRequest, WantedLogprobs};
use serde_json::Value;

use super::completion::MOST_TOP;
use super::fields::{Fields, wrong};
use super::prompt;
use super::sampling::Wanted;
use super::{Context, Form, Prepared};
use crate::api_error::ApiError;

/// The field.
const MESSAGES: &str = "messages";

/// Reads a request.
pub(crate) fn read(fields: &Fields, context: &Context<'_>) -> Result<Prepared, ApiError> {
    let model = context.model;
    let Some(template) = &model.template else {
        let message = "the run has no chat template: start the server with `--chat-template FILE`, \
                       or use /v1/completions";
        return Err(ApiError::of_field(MESSAGES, message).coded("no_chat_template"));
    };
    let wanted = Wanted::read(fields, model)?;
    let newer = fields.whole("max_completion_tokens", 1..=usize::MAX)?;
    let asked = newer.or(fields.whole("max_tokens", 1..=usize::MAX)?);
    let top = fields.whole("top_logprobs", 0..=MOST_TOP)?;
    let top = fields.flag("logprobs")?.then(|| top.unwrap_or(0));
    let messages = messages(fields)?;
    let text = template
        .prompt(&messages, fields.get("tools"))
        .map_err(|refused| ApiError::of_field(MESSAGES, format!("the chat template: {refused}")))?;
    let prompt = prompt::encode(&text, &model.tokenizer, MESSAGES)?;
    context.check_rows(wanted.copies)?;
    let max_new = context.room(MESSAGES, &prompt.ids, asked, usize::MAX)?;
    if max_new == 0 {
        let message = "the conversation is as long as the model's sequences: nothing can follow";
        return Err(ApiError::of_field(MESSAGES, message).coded("context_length_exceeded"));
    }
    let mut ends = wanted.ends.clone();
    if !fields.flag("ignore_eos")? {
        ends.extend(&model.turn_ends);
    }
    let row = |copy| GenerationRequest {
        id: 0,
        prompt: prompt.ids.clone(),
        max_new,
        ends: ends.clone(),
        sampling: wanted.sampling(copy),
        logprobs: top.map(|top| WantedLogprobs { top, prompt: false }),
    };
    Ok(Prepared {
        rows: (0..wanted.copies).map(row).collect(),
        echoes: None,
        stops: wanted.stops.clone(),
        prompt_tokens: prompt.ids.len(),
        delivery: wanted.delivery,
        form: Form::Chat,
    })
}

/// Reads the conversation; a content of text parts becomes one text.
fn messages(fields: &Fields) -> Result<Vec<Value>, ApiError> {
    let expected = "a list of messages with a `role` and a `content`";
    let Some(value) = fields.get(MESSAGES) else {
        return Err(ApiError::of_field(MESSAGES, format!("`{MESSAGES}` is missing: {expected}")));
    };
    let refused = || wrong(MESSAGES, value, expected);
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(refused)?;
    let mut messages = list.clone();
    for (number, message) in messages.iter_mut().enumerate() {
        if message["role"].as_str().is_none() {
            return Err(refused());
        }
        if let Value::Array(parts) = &message["content"] {
            let text = parts.iter().map(|part| {
                part["text"].as_str().filter(|_| part["type"] == "text").ok_or_else(|| {
                    let message = format!("`{MESSAGES}[{number}]` has a part that is no text");
                    ApiError::of_field(MESSAGES, message)
                })
            });
            let text = text.collect::<Result<String, _>>()?;
            message["content"] = Value::String(text);
        }
    }
    Ok(messages)
}

//! `/v1/completions`.

use std::sync::Arc;

use ratdata_schemas::{GenerationRequest, WantedLogprobs};
use serde_json::Value;

use super::fields::Fields;
use super::prompt::{self, PROMPT};
use super::sampling::Wanted;
use super::{Context, Form, Prepared};
use crate::api_error::ApiError;

/// How many tokens are generated where nobody says, as by OpenAI's servers.
const USUAL: usize = 16;

/// The most tokens that are reported at each position.
pub(super) const MOST_TOP: usize = 20;

/// Reads a request.
pub(crate) fn read(fields: &Fields, context: &Context<'_>) -> Result<Prepared, ApiError> {
    let model = context.model;
    let wanted = Wanted::read(fields, model)?;
    fields.only("suffix", |value| value.as_str() == Some(""))?;
    let copies = wanted.copies;
    fields.only("best_of", |value: &Value| value.as_u64() == Some(copies as u64))?;
    let asked = fields.whole("max_tokens", 0..=usize::MAX)?;
    let top = fields.whole("logprobs", 0..=MOST_TOP)?;
    let echo = fields.flag("echo")?;
    if asked == Some(0) && !echo {
        let message = "`max_tokens`: found `0`, expected at least 1 without `echo`";
        return Err(ApiError::of_field("max_tokens", message));
    }
    let prompts = prompt::read(fields, &model.tokenizer)?;
    context.check_rows(prompts.len().saturating_mul(copies))?;
    let mut rows = Vec::with_capacity(prompts.len() * copies);
    let mut echoes: Vec<Arc<str>> = Vec::new();
    for prompt in &prompts {
        let max_new = context.room(PROMPT, &prompt.ids, asked, USUAL)?;
        let shown = echo.then(|| prompt.shown(&model.tokenizer));
        for copy in 0..copies {
            rows.push(GenerationRequest {
                id: 0,
                prompt: prompt.ids.clone(),
                max_new,
                ends: wanted.ends.clone(),
                sampling: wanted.sampling(copy),
                logprobs: top.map(|top| WantedLogprobs { top, prompt: echo }),
            });
            echoes.extend(shown.clone());
        }
    }
    Ok(Prepared {
        rows,
        echoes: echo.then_some(echoes),
        stops: wanted.stops,
        prompt_tokens: prompts.iter().map(|prompt| prompt.ids.len()).sum(),
        delivery: wanted.delivery,
        form: Form::Completion,
    })
}

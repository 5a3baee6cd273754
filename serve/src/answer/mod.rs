//! Answers: events of the model's process become texts and log-probabilities, whole or streamed.

mod json;
mod row;
mod stream;
mod tokens;
mod whole;

pub(crate) use stream::{Streamed, stream};
pub(crate) use whole::whole;

use std::sync::Arc;

use ratdata_schemas::GenerationRequest;

use crate::api_error::ApiError;
use crate::engine::Answers;
use crate::model::{ServedModel, now};
use crate::request::{Form, Prepared};
use row::Row;

/// What the answers to one request have in common.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    id: String,
    created: u64,
    model: Arc<ServedModel>,
    form: Form,
    prompt_tokens: usize,
}

impl Head {
    /// Makes the head of a request's answer; `number` is unique in this server.
    pub(crate) fn new(model: &Arc<ServedModel>, prepared: &Prepared, number: u64) -> Self {
        let prefix = match prepared.form {
            Form::Completion => "cmpl",
            Form::Chat => "chatcmpl",
        };
        let created = now();
        Self {
            id: format!("{prefix}-{created:x}-{number}"),
            created,
            model: model.clone(),
            form: prepared.form,
            prompt_tokens: prepared.prompt_tokens,
        }
    }
}

/// The rows of a request while they are generated.
pub(crate) struct Work {
    head: Head,
    rows: Vec<Row>,
    answers: Answers,
}

impl Work {
    /// Begins to collect what the process generates for rows.
    pub(crate) fn new(head: Head, prepared: &Prepared, answers: Answers) -> Self {
        let row = |(place, request): (usize, &GenerationRequest)| {
            let echo = prepared.echoes.as_ref().map(|echoes| &*echoes[place]);
            Row::new(&head.model.tokenizer, request, echo, &prepared.stops)
        };
        let rows = prepared.rows.iter().enumerate().map(row).collect();
        Self { head, rows, answers }
    }

    /// Returns how many tokens were generated.
    fn generated(&self) -> usize {
        self.rows.iter().map(Row::generated).sum()
    }

    /// Waits for the next event, and returns its row; none when every row has ended.
    async fn advance(&mut self) -> Result<Option<usize>, ApiError> {
        if self.rows.iter().all(Row::has_ended) {
            return Ok(None);
        }
        let Some((place, event)) = self.answers.next().await else {
            return Err(ApiError::gone());
        };
        let row = &mut self.rows[place];
        row.take(event)?;
        if row.is_stopped() {
            self.answers.cancel(place);
        }
        Ok(Some(place))
    }
}

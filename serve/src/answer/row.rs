//! One row: the answer to one prompt, as its events come.

use std::sync::Arc;

use hyper::StatusCode;
use ratdata_schemas::{EndReason, GenerationRequest, TokenId};
use ratdata_tokenize::tokenizer::{StoppingText, Tokenizer};

use super::tokens::{TokenEntries, TokenEntry};
use crate::api_error::ApiError;
use crate::engine::RowEvent;

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// At an id or a text that ends it.
    Stop,
    /// It has as many tokens as were asked for.
    Length,
}

impl Finish {
    /// Returns its name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// An answer to a prompt.
#[derive(Clone, Debug)]
pub(super) struct Row {
    prompt: Arc<[TokenId]>,
    ends: Vec<TokenId>,
    text: StoppingText,
    /// What can be sent and was not.
    unsent: String,
    /// Makes entries, where log-probabilities are wanted.
    entries: Option<TokenEntries>,
    /// Entries that were not sent.
    waiting: Vec<TokenEntry>,
    /// How many characters of the answer can be sent or were sent.
    chars: usize,
    generated: usize,
    finish: Option<Finish>,
}

impl Row {
    /// Begins an answer, which begins with the prompt's text where it is echoed.
    pub(super) fn new(
        tokenizer: &Tokenizer,
        request: &GenerationRequest,
        echo: Option<&str>,
        stops: &Arc<[String]>,
    ) -> Self {
        let prompt: Arc<[TokenId]> = request.prompt.as_slice().into();
        let after = || tokenizer.stream_after(&prompt);
        let entries = request.logprobs.map(|wanted| {
            let stream = if wanted.prompt { tokenizer.stream() } else { after() };
            TokenEntries::new(tokenizer, stream)
        });
        Self {
            text: StoppingText::new(after(), stops.clone()),
            unsent: echo.unwrap_or("").to_owned(),
            chars: echo.unwrap_or("").chars().count(),
            ends: request.ends.clone(),
            entries,
            waiting: Vec::new(),
            generated: 0,
            finish: None,
            prompt,
        }
    }

    /// Takes an event.
    pub(super) fn take(&mut self, event: RowEvent) -> Result<(), ApiError> {
        if self.has_ended() {
            return Ok(());
        }
        match event {
            RowEvent::Prompt(logprobs) => {
                if let Some(entries) = &mut self.entries {
                    self.waiting.extend(self.prompt.first().map(|&first| entries.first(first)));
                    self.waiting.extend(logprobs.iter().map(|told| entries.next(told, true)));
                    // No token has come: the answer is the echo alone.
                    entries.continued(&self.prompt, self.chars);
                }
            }
            RowEvent::Token(token) => {
                self.generated += 1;
                self.push(token);
            }
            RowEvent::Logprob(told) => {
                self.generated += 1;
                let is_end = self.ends.contains(&told.token);
                let entry = self.entries.as_mut().map(|entries| entries.next(&told, false));
                self.waiting.extend(entry.map(|entry| TokenEntry { is_end, ..entry }));
                if !is_end {
                    self.push(told.token);
                }
            }
            RowEvent::Ended(why) => self.end(why),
            RowEvent::Refused { reason } => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return Err(ApiError::new(status, "model_failed", reason));
            }
            RowEvent::Gone => return Err(ApiError::gone()),
        }
        Ok(())
    }

    fn push(&mut self, token: TokenId) {
        let shown = self.text.push(token);
        self.chars += shown.chars().count();
        self.unsent.push_str(shown);
        if self.text.is_stopped() {
            self.finish = Some(Finish::Stop);
            let chars = self.chars;
            self.waiting.retain(|entry| entry.offset < chars);
        }
    }

    fn end(&mut self, why: EndReason) {
        let rest = self.text.rest();
        self.chars += rest.chars().count();
        self.unsent.push_str(&rest);
        if why == EndReason::Eos && self.entries.is_none() {
            // The id that ends the text was generated, and is reported with its probability alone.
            self.generated += 1;
        }
        self.finish = Some(if why == EndReason::Length { Finish::Length } else { Finish::Stop });
    }

    /// Returns whether a text has ended the answer, so that the process need not continue.
    pub(super) fn is_stopped(&self) -> bool {
        self.text.is_stopped()
    }

    /// Returns whether nothing more is generated.
    pub(super) fn has_ended(&self) -> bool {
        self.finish.is_some()
    }

    /// Returns why the answer has ended.
    pub(super) fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Returns how many tokens were generated.
    pub(super) fn generated(&self) -> usize {
        self.generated
    }

    /// Returns whether log-probabilities are wanted.
    pub(super) fn has_entries(&self) -> bool {
        self.entries.is_some()
    }

    /// Returns whether there is something to send.
    pub(super) fn has_news(&self) -> bool {
        let is_ready = |entry: &TokenEntry| entry.offset < self.chars;
        self.has_ended() || !self.unsent.is_empty() || self.waiting.first().is_some_and(is_ready)
    }

    /// Takes the text that can be sent.
    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.unsent)
    }

    /// Takes the entries of text that can be sent; all of them once the answer has ended.
    pub(super) fn take_entries(&mut self) -> Vec<TokenEntry> {
        let ready = match self.finish {
            Some(_) => self.waiting.len(),
            None => self.waiting.partition_point(|entry| entry.offset < self.chars),
        };
        self.waiting.drain(..ready).collect()
    }
}

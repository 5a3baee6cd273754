//! Continuous batching: a sequence that is done leaves its slot, and a waiting prompt takes it.

use std::collections::VecDeque;

use ratdata_schemas::{EndReason, GenerationEvent, GenerationRequest, TokenId};

use super::chooser::Chooser;
use super::error::GenerateError;
use super::run::TrainedModel;
use crate::model::Caches;

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was found and what was expected.
    pub reason: String,
    /// What the user can do about it.
    pub hint: Option<&'static str>,
}

/// Generates for many requests at a time.
///
/// What a request gets does not depend on the other requests: on the CPU not a bit of it.
#[derive(Debug)]
pub struct Batcher {
    trained: TrainedModel,
    caches: Caches,
    slots: Vec<Option<Running>>,
    waiting: VecDeque<GenerationRequest>,
    /// How many tokens a sequence has at most: as many as in training, unless more are allowed.
    longest: usize,
    vocab_size: usize,
}

/// A request in a slot.
#[derive(Debug)]
struct Running {
    request: GenerationRequest,
    chooser: Chooser,
    /// The last token, which the model has not read.
    last: TokenId,
    generated: usize,
}

impl Batcher {
    /// Makes a batcher with so many slots. A sequence may be longer than in training where `grows` is
    /// set.
    pub fn new(trained: TrainedModel, slots: usize, grows: bool) -> Self {
        let config = trained.model.config();
        let (seq_len, vocab_size) = (config.seq_len.get(), config.vocab_size.get());
        let caches = trained.model.caches(slots, &trained.device);
        Self {
            caches,
            slots: (0..slots.max(1)).map(|_| None).collect(),
            waiting: VecDeque::new(),
            longest: if grows { usize::MAX } else { seq_len },
            vocab_size,
            trained,
        }
    }

    /// Returns what requests must fit.
    pub fn ready(&self) -> GenerationEvent {
        GenerationEvent::Ready { longest: self.longest, vocab_size: self.vocab_size }
    }

    /// Returns whether no request is left.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(Option::is_none)
    }

    /// Takes a request.
    ///
    /// # Errors
    /// Returns [`Refusal`] where the model cannot continue the prompt.
    pub fn ask(&mut self, request: GenerationRequest) -> Result<(), Refusal> {
        let GenerationRequest { prompt, max_new, .. } = &request;
        if prompt.is_empty() {
            let hint = Some("a prompt needs at least one token");
            return Err(Refusal { reason: "the prompt is empty".to_owned(), hint });
        }
        if let Some(id) = prompt.iter().find(|&&id| id as usize >= self.vocab_size) {
            let size = self.vocab_size;
            let reason = format!("the prompt has the id {id}, the model's ids are below {size}");
            let hint = Some("the tokenizer must be the one that the model was trained with");
            return Err(Refusal { reason, hint });
        }
        if prompt.len().saturating_add(*max_new) > self.longest {
            let (len, longest) = (prompt.len(), self.longest);
            let reason = format!(
                "the prompt has {len} tokens and {max_new} new ones are asked for, the model was \
                 trained on sequences of {longest}"
            );
            let hint = Some("shorten the prompt or `--max-new`, or allow more with `--grow`");
            return Err(Refusal { reason, hint });
        }
        self.waiting.push_back(request);
        Ok(())
    }

    /// Ends a request, and returns whether there was one.
    pub fn cancel(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|request| request.id != id);
        let mut found = self.waiting.len() < before;
        for (slot, running) in self.slots.iter_mut().enumerate() {
            if running.as_ref().is_some_and(|running| running.request.id == id) {
                *running = None;
                self.caches.free(slot);
                found = true;
            }
        }
        found
    }

    /// Fills free slots with waiting prompts, which gives each its first token, and otherwise adds one
    /// token to every sequence. Returns what was generated.
    ///
    /// # Errors
    /// Returns [`GenerateError::NotFinite`] where the model computes no number.
    pub fn round(&mut self) -> Result<Vec<GenerationEvent>, GenerateError> {
        let mut round = Round::default();
        for slot in 0..self.slots.len() {
            while self.slots[slot].is_none() {
                let Some(request) = self.waiting.pop_front() else { break };
                self.begin(slot, request, &mut round)?;
            }
        }
        if round.is_empty() && self.slots.iter().any(Option::is_some) {
            self.advance(&mut round)?;
        }
        Ok(round.events())
    }

    /// Reads a prompt into a slot and chooses its first token.
    fn begin(
        &mut self,
        slot: usize,
        request: GenerationRequest,
        round: &mut Round,
    ) -> Result<(), GenerateError> {
        if request.max_new == 0 {
            round.ended.push((request.id, EndReason::Length));
            return Ok(());
        }
        let TrainedModel { model, .. } = &self.trained;
        let room = request.prompt.len() + request.max_new;
        model.reserve(&mut self.caches, room);
        let logits = model.prefill(&mut self.caches, slot, &request.prompt);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let chooser = Chooser::new(request.sampling);
        self.slots[slot] = Some(Running { request, chooser, last: 0, generated: 0 });
        self.take(slot, &logits, round)
    }

    /// Runs the model once for all sequences and chooses a token for each.
    fn advance(&mut self, round: &mut Round) -> Result<(), GenerateError> {
        let last = |running: &Option<Running>| running.as_ref().map_or(0, |running| running.last);
        let tokens: Vec<TokenId> = self.slots.iter().map(last).collect();
        let logits = self.trained.model.step(&mut self.caches, &tokens);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        for slot in 0..self.slots.len() {
            let row = &logits[slot * self.vocab_size..(slot + 1) * self.vocab_size];
            self.take(slot, row, round)?;
        }
        Ok(())
    }

    /// Chooses the next token of a slot, and frees the slot where the text ends.
    fn take(
        &mut self,
        slot: usize,
        logits: &[f32],
        round: &mut Round,
    ) -> Result<(), GenerateError> {
        let Some(running) = &mut self.slots[slot] else { return Ok(()) };
        let id = running.request.id;
        let token = running.chooser.choose(logits).ok_or(GenerateError::NotFinite { id })?;
        running.generated += 1;
        running.last = token;
        let ends = running.request.ends.contains(&token);
        if !ends {
            round.tokens.push((id, token));
        }
        if ends || running.generated == running.request.max_new {
            let why = if ends { EndReason::Eos } else { EndReason::Length };
            round.ended.push((id, why));
            self.slots[slot] = None;
            self.caches.free(slot);
        }
        Ok(())
    }
}

/// What a round generates.
#[derive(Debug, Default)]
struct Round {
    tokens: Vec<(u64, TokenId)>,
    ended: Vec<(u64, EndReason)>,
}

impl Round {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.ended.is_empty()
    }

    fn events(self) -> Vec<GenerationEvent> {
        let tokens =
            (!self.tokens.is_empty()).then_some(GenerationEvent::Tokens { tokens: self.tokens });
        let ended = self.ended.into_iter().map(|(id, why)| GenerationEvent::Ended { id, why });
        tokens.into_iter().chain(ended).collect()
    }
}

//! Continuous batching: a sequence that is done leaves its slot, and a waiting prompt takes it.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use ratdata_schemas::{EndReason, GenerationEvent, GenerationRequest, TokenId, TokenLogprob};
use rayon::prelude::*;

use super::chooser::Chooser;
use super::logprobs::Logprobs;
use super::run::TrainedModel;
use crate::model::{Caches, GreedyTable};

/// How many tokens of prompts are read in a row while sequences wait for their next token. The first
/// prompt is read whatever its length.
const PROMPT_TOKENS: usize = 1024;

/// What a user can do about logits that are no numbers.
const NOT_FINITE_HINT: &str =
    "the weights are damaged or the training diverged; see the run's loss curve";

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
    /// Where it is there, greedy requests need not all logits.
    greedy: Option<GreedyTable>,
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

impl Running {
    /// Returns whether the most likely token is all that it needs of the logits.
    fn is_greedy(&self) -> bool {
        self.chooser.takes_best() && self.request.logprobs.is_none()
    }

    /// Chooses the next token; none where a logit is not finite.
    fn choose(&mut self, logits: &[f32]) -> Option<Choice> {
        let token = self.chooser.choose(logits)?;
        let report = |top| Some(Logprobs::new(logits)?.report(token, top));
        let logprob = self.request.logprobs.and_then(|wanted| report(wanted.top));
        Some(Choice { token, logprob })
    }
}

/// The next token of a request.
struct Choice {
    token: TokenId,
    /// What is reported of it, where the request wants that.
    logprob: Option<TokenLogprob>,
}

impl Batcher {
    /// Makes a batcher with so many slots. A sequence may be longer than in training where `grows` is
    /// set.
    pub fn new(trained: TrainedModel, slots: usize, grows: bool) -> Self {
        let config = trained.model.config();
        let (seq_len, vocab_size) = (config.seq_len.get(), config.vocab_size.get());
        let caches = trained.model.caches(slots, &trained.device);
        Self {
            greedy: trained.model.greedy_table(),
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

    /// Reads waiting prompts into free slots, which gives each its first token, and then adds one token
    /// to every sequence. Returns what was generated.
    ///
    /// A flood of prompts does not keep the sequences waiting: after some prompts it is their turn.
    pub fn round(&mut self) -> Vec<GenerationEvent> {
        let mut round = Round::default();
        let mut read = 0;
        while read < PROMPT_TOKENS
            && let Some(slot) = self.slots.iter().position(Option::is_none)
            && let Some(request) = self.waiting.pop_front()
        {
            read += request.prompt.len();
            self.begin(slot, request, &mut round);
        }
        if self.slots.iter().any(Option::is_some) {
            self.advance(&mut round);
        }
        round.events()
    }

    /// Reads a prompt into a slot and chooses its first token.
    fn begin(&mut self, slot: usize, request: GenerationRequest, round: &mut Round) {
        let (id, max_new) = (request.id, request.max_new);
        let top = request.logprobs.filter(|wanted| wanted.prompt).map(|wanted| wanted.top);
        if max_new == 0 && top.is_none() {
            round.ended.push((id, EndReason::Length));
            return;
        }
        let TrainedModel { model, .. } = &self.trained;
        model.reserve(&mut self.caches, request.prompt.len() + max_new);
        let prompt = &request.prompt;
        let logits = if let Some(top) = top {
            let mut found = Vec::with_capacity(prompt.len() - 1);
            let logits = model.prefill_reporting(&mut self.caches, slot, prompt, |piece| {
                let next = &prompt[found.len() + 1..];
                found.extend(reports(piece, next, top));
            });
            match found.into_iter().collect() {
                Some(logprobs) => round.prompts.push((id, logprobs)),
                None => return self.fail(slot, id, round),
            }
            logits
        } else {
            model.prefill(&mut self.caches, slot, prompt)
        };
        if max_new == 0 {
            round.ended.push((id, EndReason::Length));
            self.caches.free(slot);
            return;
        }
        let logits = numbers(logits);
        let chooser = Chooser::new(request.sampling);
        let mut running = Running { request, chooser, last: 0, generated: 0 };
        let choice = running.choose(&logits);
        self.slots[slot] = Some(running);
        self.add(slot, choice, round);
    }

    /// Runs the model once for all sequences and chooses a token for each.
    fn advance(&mut self, round: &mut Round) {
        let last = |running: &Option<Running>| running.as_ref().map_or(0, |running| running.last);
        let tokens: Vec<TokenId> = self.slots.iter().map(last).collect();
        let model = &self.trained.model;
        let is_greedy = self.slots.iter().flatten().all(Running::is_greedy);
        let choices: Vec<Option<Choice>> = match &self.greedy {
            Some(table) if is_greedy => {
                let best = model.step_greedy(&mut self.caches, &tokens, table);
                best.into_iter().map(|best| Some(Choice { token: best?, logprob: None })).collect()
            }
            _ => {
                let logits = numbers(model.step(&mut self.caches, &tokens));
                let rows = logits.par_chunks_exact(self.vocab_size);
                let slots = self.slots.par_iter_mut().zip(rows);
                slots.map(|(slot, logits)| slot.as_mut()?.choose(logits)).collect()
            }
        };
        for (slot, choice) in choices.into_iter().enumerate().take(self.slots.len()) {
            self.add(slot, choice, round);
        }
    }

    /// Adds a token to a slot in use, and frees the slot where the text ends. Without a token a logit is not finite.
    fn add(&mut self, slot: usize, choice: Option<Choice>, round: &mut Round) {
        let Some(running) = &mut self.slots[slot] else { return };
        let id = running.request.id;
        let Some(Choice { token, logprob }) = choice else {
            return self.fail(slot, id, round);
        };
        running.generated += 1;
        running.last = token;
        let ends = running.request.ends.contains(&token);
        if running.request.logprobs.is_some() {
            round.logprobs.extend(logprob.map(|logprob| (id, logprob)));
        } else if !ends {
            round.tokens.push((id, token));
        }
        if ends || running.generated == running.request.max_new {
            let why = if ends { EndReason::Eos } else { EndReason::Length };
            round.ended.push((id, why));
            self.slots[slot] = None;
            self.caches.free(slot);
        }
    }

    /// Ends a request for which the model computes no number. The other requests are not its fault.
    fn fail(&mut self, slot: usize, id: u64, round: &mut Round) {
        round.failed.push(id);
        self.slots[slot] = None;
        self.caches.free(slot);
    }
}

/// Returns the numbers of logits, which are f32.
fn numbers<const D: usize>(logits: Tensor<D>) -> Vec<f32> {
    let data = logits.into_data();
    data.try_to_vec().unwrap_or_else(|_| data.iter::<f32>().collect())
}

/// Returns what is reported of the tokens that follow the positions of a piece of logits; none for a
/// position with a logit that is not finite.
fn reports(piece: Tensor<2>, next: &[TokenId], top: usize) -> Vec<Option<TokenLogprob>> {
    let [_, vocab_size] = piece.dims();
    let logits = numbers(piece);
    let rows = logits.par_chunks(vocab_size).zip(next);
    rows.map(|(row, &token)| Some(Logprobs::new(row)?.report(token, top))).collect()
}

/// What a round generates.
#[derive(Debug, Default)]
struct Round {
    prompts: Vec<(u64, Vec<TokenLogprob>)>,
    tokens: Vec<(u64, TokenId)>,
    logprobs: Vec<(u64, TokenLogprob)>,
    failed: Vec<u64>,
    ended: Vec<(u64, EndReason)>,
}

impl Round {
    fn events(self) -> Vec<GenerationEvent> {
        let prompts = self.prompts.into_iter();
        let mut events: Vec<GenerationEvent> = prompts
            .map(|(id, logprobs)| GenerationEvent::PromptLogprobs { id, logprobs })
            .collect();
        if !self.tokens.is_empty() {
            events.push(GenerationEvent::Tokens { tokens: self.tokens });
        }
        if !self.logprobs.is_empty() {
            events.push(GenerationEvent::TokenLogprobs { logprobs: self.logprobs });
        }
        events.extend(self.failed.into_iter().map(|id| GenerationEvent::Refused {
            id,
            reason: "the model computes a logit that is not a finite number".to_owned(),
            hint: Some(NOT_FINITE_HINT.to_owned()),
        }));
        events.extend(self.ended.into_iter().map(|(id, why)| GenerationEvent::Ended { id, why }));
        events
    }
}

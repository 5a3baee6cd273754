//! What a run will do, before it does it: iterations, tokens, operations, memory.

use std::fmt;
use std::num::NonZeroU64;

use serde::Serialize;

use super::error::TrainError;
use crate::data::Source;
use crate::experiment::Experiment;
use crate::model::{MixerKind, ModelConfig};

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Steps of the optimizer.
    pub iterations: u64,
    /// Sequences in each.
    pub global_batch: u64,
    /// Tokens in a sequence.
    pub seq_len: u64,
    /// Tokens of all iterations.
    pub tokens: u64,
    /// Passes over the data.
    pub epochs: f64,
    /// Sequences to train on.
    pub train_sequences: u64,
    /// Sequences that each validation reads.
    pub validation_sequences: u64,
    /// Parameters of the model.
    pub parameters: u64,
    /// Operations of the whole run.
    pub flops: f64,
    /// Bytes of weights, gradients and the optimizer's moments.
    pub state_bytes: u64,
    /// Bytes of what one micro-batch keeps for its backward pass, about.
    pub activation_bytes: u64,
}

impl Plan {
    /// Plans a run over sources; `epoch_len` is how many draws pass over all of them.
    ///
    /// # Errors
    /// Returns [`TrainError::NoIteration`] where the limits leave none.
    pub fn new(
        experiment: &Experiment,
        sources: &[Source],
        epoch_len: u64,
    ) -> Result<Self, TrainError> {
        let (model, training) = (&experiment.model, &experiment.training);
        let (global_batch, seq_len) =
            (training.global_batch.get() as u64, model.seq_len.get() as u64);
        let by_tokens = training.tokens.map(|tokens| tokens / (global_batch * seq_len));
        let by_epochs =
            training.epochs.map(|epochs| whole(epochs * epoch_len as f64) / global_batch);
        let iterations = [training.iterations, by_tokens, by_epochs].into_iter().flatten().min();
        let iterations = iterations.filter(|&iterations| iterations > 0).ok_or_else(|| {
            let reason = format!(
                "the limits of `training` over {epoch_len} sequences leave less than a batch of {global_batch}"
            );
            TrainError::NoIteration { reason }
        })?;
        let parameters = model.num_params();
        let tokens = iterations * global_batch * seq_len;
        let validation = sources.iter().filter_map(|source| source.validation.as_ref());
        let limit = training.validation_sequences.map_or(u64::MAX, NonZeroU64::get);
        Ok(Self {
            iterations,
            global_batch,
            seq_len,
            tokens,
            epochs: (iterations * global_batch) as f64 / epoch_len.max(1) as f64,
            train_sequences: sources.iter().map(|source| source.train.len()).sum(),
            validation_sequences: validation.map(|split| split.len().min(limit)).sum(),
            parameters,
            flops: model.flops_per_token() as f64 * tokens as f64,
            state_bytes: parameters * 16,
            activation_bytes: activations(model) * training.micro_batch.get() as u64 * seq_len,
        })
    }

    /// Returns the bytes that the run needs at once, about.
    pub fn memory(&self) -> u64 {
        self.state_bytes + self.activation_bytes
    }
}

/// Returns the bytes that the system could give a program now, where it says so.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the bytes that one token keeps for its backward pass, in f32.
///
/// Counted are what the operations save: norms, projections, the feed-forward layer's two widths,
/// the scan's gates, inputs and states, and 128 MiB of logits shared by all is left out.
fn activations(model: &ModelConfig) -> u64 {
    let d_model = model.d_model.get() as u64;
    let ffn = 3 * d_model * (model.ffn_mult.get() as u64) + 3 * d_model;
    let blocks: u64 = (0..model.layers.get())
        .map(|layer| {
            let kind = model.mixer(layer);
            let mixer = match kind {
                MixerKind::Attention | MixerKind::LocalAttention => 6 * d_model,
                MixerKind::Rnn => 8 * d_model,
                MixerKind::Rat => 12 * d_model,
            };
            model.in_proj_width(kind) as u64 + mixer + 4 * d_model + ffn
        })
        .sum();
    4 * (blocks + 4 * d_model)
}

/// Rounds a count down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are positive and far below 2^53"
)]
fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: u64| bytes as f64 / f64::from(1_u32 << 30);
        writeln!(f, "parameters   {}", grouped(self.parameters))?;
        writeln!(
            f,
            "memory       {:.2} GiB of weights, gradients and moments, about {:.2} GiB for a micro-batch",
            gib(self.state_bytes),
            gib(self.activation_bytes)
        )?;
        writeln!(
            f,
            "data         {} sequences of {} tokens to train on, {} to validate on",
            grouped(self.train_sequences),
            grouped(self.seq_len),
            grouped(self.validation_sequences)
        )?;
        writeln!(
            f,
            "iterations   {} of {} sequences",
            grouped(self.iterations),
            grouped(self.global_batch)
        )?;
        writeln!(f, "tokens       {} ({:.2} epochs)", grouped(self.tokens), self.epochs)?;
        write!(f, "operations   {:.3e}", self.flops)
    }
}

/// Writes a number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

//! The plan of a run: iterations, tokens, operations, memory.

use std::fmt;
use std::num::NonZeroU64;

use ratdata_console::grouped;
use serde::Serialize;

use super::error::TrainError;
use crate::data::Source;
use crate::experiment::Experiment;
use crate::model::{MixerKind, ModelConfig, Precision};

/// What a run will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Updates by the optimizer.
    pub iterations: u64,
    /// Sequences in each.
    pub global_batch: u64,
    /// Inputs in a sequence.
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
    /// Bytes of weights, their copies in bf16, gradients and the optimizer's moments.
    pub state_bytes: u64,
    /// About how many bytes a micro-batch keeps for its backward pass and computes with.
    pub activation_bytes: u64,
}

impl Plan {
    /// Plans a run over sources; `epoch_len` is how many draws pass over all of them, and
    /// `precision` the type in which the layers will compute.
    ///
    /// # Errors
    /// Returns [`TrainError::NoIteration`] where the limits leave none.
    pub fn new(
        experiment: &Experiment,
        sources: &[Source],
        epoch_len: u64,
        precision: Precision,
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
        // A limit that nobody means to reach may be as large as can be.
        let tokens = iterations.saturating_mul(global_batch * seq_len);
        let validation = sources.iter().filter_map(|source| source.validation.as_ref());
        let limit = training.validation_sequences.map_or(u64::MAX, NonZeroU64::get);
        Ok(Self {
            iterations,
            global_batch,
            seq_len,
            tokens,
            epochs: iterations.saturating_mul(global_batch) as f64 / epoch_len.max(1) as f64,
            train_sequences: sources.iter().map(|source| source.train.len()).sum(),
            validation_sequences: validation.map(|split| split.len().min(limit)).sum(),
            parameters,
            flops: model.flops_per_token() as f64 * tokens as f64,
            state_bytes: state(experiment, precision),
            activation_bytes: activations(experiment, precision),
        })
    }

    /// Returns about how many bytes the run needs at once.
    pub fn memory(&self) -> u64 {
        self.state_bytes.saturating_add(self.activation_bytes)
    }
}

/// Returns the bytes of weights, gradients and moments.
///
/// Weights, gradients and two moments are f32. There are two sets of gradients while those of
/// several micro-batches are added up. In bf16 each layer copies its weights for its products;
/// with recomputation, the copies of one block exist at a time.
fn state(experiment: &Experiment, precision: Precision) -> u64 {
    let (model, training) = (&experiment.model, &experiment.training);
    let parameters = model.num_params();
    let sums = if training.global_batch > training.micro_batch { 4 } else { 0 };
    let copies = match precision {
        Precision::F32 => 0,
        Precision::Bf16 if training.recompute => {
            let output = model.vocab_size.get() as u64 * model.d_model.get() as u64;
            2 * (output + parameters.saturating_sub(output) / model.layers.get() as u64)
        }
        Precision::Bf16 => 2 * parameters,
    };
    (16 + sums) * parameters + copies
}

/// Blocks of scores and of logits that are in memory at a time: four of 256 MiB and three of 128.
const WORKSPACE: u64 = 4 * (256 << 20) + 3 * (128 << 20);

/// Returns about how many bytes a micro-batch keeps for its backward pass and computes with.
///
/// The count is of what the operations of a block save, in units of the width. In the type of the
/// layers these are the normed inputs, what the mixer keeps, the input of the output projection,
/// and input and output of the GELU; in f32, what the norms and the scan keep. The derivatives of a
/// block need about as much again. With recomputation there is one such block, and the input of
/// every other.
fn activations(experiment: &Experiment, precision: Precision) -> u64 {
    let (model, training) = (&experiment.model, &experiment.training);
    let tokens = training.micro_batch.get() as u64 * model.seq_len.get() as u64;
    let narrow: u64 = match precision {
        Precision::F32 => 4,
        Precision::Bf16 => 2,
    };
    let blocks = (0..model.layers.get()).map(|layer| block(model, model.mixer(layer), narrow));
    let largest = blocks.clone().max().unwrap_or(0);
    let inputs = narrow * model.layers.get() as u64;
    let kept = if training.recompute { inputs + largest } else { blocks.sum() };
    // The last norm, and the output layer's slopes by its input.
    let head = 2 * 4 + 2 * narrow;
    let scores = (4 * model.seq_len.get() + 3 * model.vocab_size.get()) as u64;
    let scores = WORKSPACE.min(tokens.saturating_mul(4 * scores));
    let channels = tokens.saturating_mul(model.d_model.get() as u64);
    channels.saturating_mul(kept + largest + head).saturating_add(scores)
}

/// Returns the bytes that a token keeps in one block, for each channel of the width.
fn block(model: &ModelConfig, kind: MixerKind, narrow: u64) -> u64 {
    let (in_layers, in_f32) = match kind {
        MixerKind::Attention | MixerKind::LocalAttention => (5, 0),
        MixerKind::Rnn => (3, 3),
        MixerKind::Rat => (7, 5),
    };
    let ffn = 2 * model.ffn_mult.get() as u64;
    narrow * (2 + in_layers + ffn) + 4 * (4 + in_f32)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{find, names};

    const GIB: u64 = 1 << 30;

    fn bytes(experiment: &Experiment, precision: Precision) -> u64 {
        state(experiment, precision) + activations(experiment, precision)
    }

    #[test]
    fn each_large_experiment_fits_one_gpu_of_80_gb_with_room_to_spare() {
        for name in names().filter(|name| name.ends_with("-xl")) {
            let experiment = find(name, &[]).unwrap().experiment;

            let needed = bytes(&experiment, Precision::Bf16);

            assert!(needed < 56 * GIB, "{name}: {:.1} GiB", needed as f64 / GIB as f64);
        }
    }

    #[test]
    fn bf16_halves_what_a_micro_batch_keeps_in_the_layers_type() {
        let mut experiment = find("fineweb_edu/attention-xl", &[]).unwrap().experiment;
        experiment.training.recompute = false;

        let [wide, narrow] =
            [Precision::F32, Precision::Bf16].map(|precision| activations(&experiment, precision));

        assert!(wide > 100 * GIB && narrow > 60 * GIB, "{wide} and {narrow}");
        assert!(narrow * 3 < wide * 2);
    }

    #[test]
    fn gradients_that_are_added_up_are_kept_twice() {
        let mut experiment = find("tiny-rat", &[]).unwrap().experiment;
        let added = state(&experiment, Precision::F32);
        experiment.training.micro_batch = experiment.training.global_batch;

        let at_once = state(&experiment, Precision::F32);

        assert_eq!(added - at_once, 4 * experiment.model.num_params());
    }
}

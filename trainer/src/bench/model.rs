//! A model: the largest batch whose caches fit, and the tokens a second that it decodes.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::{Device, Int, Tensor};
use serde::Serialize;

use super::size::{ModelSize, Scale};
use super::subject::Subject;
use super::timing::wait;
use super::{BenchError, check};
use crate::convert::{narrow, non_zero};
use crate::device::Hardware;
use crate::model::{CacheWidths, MixerKind, ModelConfig, Precision};

/// The part of the memory that is planned with: what allocators and libraries take is the rest.
const PLANNED: f64 = 0.9;

/// What is measured of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelBench {
    /// The models.
    pub subjects: Vec<Subject>,
    /// Their size.
    pub size: ModelSize,
    /// Tokens in a sequence, at the end.
    pub context: NonZeroUsize,
    /// How many of them are generated.
    pub new: NonZeroUsize,
    /// A batch is a multiple of this, where one fits.
    pub batch_step: NonZeroUsize,
    /// The largest batch that is measured, whatever the memory holds.
    pub most: Option<NonZeroUsize>,
    /// How many bytes weights, caches and a step may take.
    pub memory: u64,
    /// Whether each step chooses the most likely tokens, and the next step reads them. Otherwise it
    /// computes all logits, and every token is the same.
    pub greedy: bool,
}

/// What bounds a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchLimit {
    /// The memory.
    Memory,
    /// The largest batch that was asked for.
    Most,
}

/// The throughput of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRow {
    /// The model's layers.
    pub model: String,
    /// Bytes of the caches of one sequence, in our types.
    pub cache_bytes: u64,
    /// The same with every number in bf16, as the RAT reference keeps them.
    pub cache_bytes_bf16: u64,
    /// Sequences that are decoded together.
    pub batch: usize,
    /// What bounds the batch.
    pub limit: BatchLimit,
    /// The seconds of all new tokens.
    pub seconds: f64,
    /// batch · new / seconds.
    pub tokens_per_second: f64,
}

impl ModelBench {
    /// The usual bench: the paper's on a GPU, a small model on the CPU.
    pub fn usual(scale: Scale, memory: u64) -> Self {
        use MixerKind::{Attention, LocalAttention, Rat, Rnn};
        let subjects = [
            vec![Attention],
            vec![Attention, LocalAttention],
            vec![Rat],
            vec![Rat, LocalAttention],
            vec![Rnn],
        ];
        let chunk_len = |mixers: &[MixerKind]| mixers.contains(&Rat).then_some(non_zero!(16));
        let subjects = subjects
            .into_iter()
            .map(|mixers| Subject { chunk_len: chunk_len(&mixers), mixers })
            .collect();
        let size = ModelSize::usual(scale);
        let batch_step = non_zero!(16);
        match scale {
            Scale::Cpu => Self {
                subjects,
                size,
                context: non_zero!(1024),
                new: non_zero!(32),
                batch_step,
                most: Some(non_zero!(64)),
                memory,
                greedy: false,
            },
            Scale::Gpu => Self {
                subjects,
                size,
                context: non_zero!(4096),
                new: non_zero!(1024),
                batch_step,
                most: None,
                memory,
                greedy: false,
            },
        }
    }

    /// Measures, and tells each row when it is there.
    ///
    /// No prompt is read: the caches are zeros, and the new tokens take the last positions. All new
    /// tokens are decoded twice, and the second time is taken.
    ///
    /// # Errors
    /// Returns [`BenchError`] where the numbers do not fit together, no sequence fits the memory, or the
    /// user stops.
    pub fn run(
        &self,
        device: &Device,
        hardware: Hardware,
        stop: &AtomicBool,
        mut told: impl FnMut(&ModelRow),
    ) -> Result<Vec<ModelRow>, BenchError> {
        let (new, context) = (self.new.get(), self.context.get());
        if new >= context {
            return Err(BenchError::New { new, context });
        }
        let precision = hardware.usual_precision();
        let mut rows = Vec::new();
        for subject in &self.subjects {
            let config = self.size.config(subject, self.context)?;
            let (batch, limit) = self.batch(subject, &config, precision)?;
            let seconds = self.seconds(&config, batch, precision, device, stop)?;
            let row = ModelRow {
                model: subject.to_string(),
                cache_bytes: config.cache_bytes(context, CacheWidths::of(precision)),
                cache_bytes_bf16: config.cache_bytes(context, CacheWidths::REFERENCE),
                batch,
                limit,
                seconds,
                tokens_per_second: (batch * new) as f64 / seconds,
            };
            told(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// Returns the largest batch that the memory holds, as a multiple of the step where that is one.
    fn batch(
        &self,
        subject: &Subject,
        config: &ModelConfig,
        precision: Precision,
    ) -> Result<(usize, BatchLimit), BenchError> {
        let fixed = fixed_bytes(config, precision);
        let each = sequence_bytes(config, self.context.get(), precision);
        let planned = planned(self.memory);
        let most = self.most.map_or(usize::MAX, NonZeroUsize::get);
        let fitting = planned.saturating_sub(fixed) / each.max(1);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        if fitting == 0 {
            let (subject, needed) = (subject.to_string(), fixed.saturating_add(each));
            return Err(BenchError::Memory { subject, needed, memory: planned });
        }
        if fitting >= most {
            return Ok((most, BatchLimit::Most));
        }
        let steps = fitting / self.batch_step.get() * self.batch_step.get();
        Ok((if steps > 0 { steps } else { fitting }, BatchLimit::Memory))
    }

    fn seconds(
        &self,
        config: &ModelConfig,
        batch: usize,
        precision: Precision,
        device: &Device,
        stop: &AtomicBool,
    ) -> Result<f64, BenchError> {
        let model = config.init(device, 1).with_precision(precision);
        let mut caches = model.caches(batch, device);
        model.reserve(&mut caches, self.context.get());
        let table = if self.greedy { model.greedy_table() } else { None };
        let mut seconds = 0.0;
        for _ in 0..2 {
            caches.assume_lens(batch, self.context.get() - self.new.get());
            let mut tokens = vec![1; batch];
            let begun = Instant::now();
            let mut last = Tensor::zeros([1], device);
            for _ in 0..self.new.get() {
                check(stop)?;
                if let Some(table) = &table {
                    let best = model.step_greedy(&mut caches, &tokens, table);
                    tokens = best.into_iter().map(|best| best.unwrap_or(1)).collect();
                    continue;
                }
                let logits = model.step(&mut caches, &tokens);
                if self.greedy {
                    let best: Tensor<1, Int> = logits.argmax(1).flatten(0, 1);
                    tokens = best.into_data().iter::<i64>().map(narrow).collect();
                } else {
                    last = logits.slice([0..1, 0..1]).reshape([1]);
                }
            }
            wait(last);
            seconds = begun.elapsed().as_secs_f64();
        }
        Ok(seconds)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a number of bytes"
)]
fn planned(memory: u64) -> u64 {
    (memory as f64 * PLANNED) as u64
}

/// Returns the bytes of the weights, in f32, and of their copies in bf16.
fn fixed_bytes(config: &ModelConfig, precision: Precision) -> u64 {
    let copies = match precision {
        Precision::F32 => 0,
        Precision::Bf16 => 2,
    };
    (4 + copies) * config.num_params()
}

/// Returns about how many bytes a sequence takes: its caches, its scores and its activations.
fn sequence_bytes(config: &ModelConfig, context: usize, precision: Precision) -> u64 {
    let caches = config.cache_bytes(context, CacheWidths::of(precision));
    let width = config.d_model.get();
    let numbers = 2 * config.vocab_size.get()
        + (6 + 2 * config.ffn_mult.get()) * width
        + 2 * config.heads() * context;
    caches.saturating_add(4 * numbers as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(memory: u64, most: Option<usize>) -> ModelBench {
        let most = most.and_then(NonZeroUsize::new);
        ModelBench { most, ..ModelBench::usual(Scale::Cpu, memory) }
    }

    fn batch_of(bench: &ModelBench, subject: &str) -> Result<(usize, BatchLimit), BenchError> {
        let subject: Subject = subject.parse().unwrap();
        let config = bench.size.config(&subject, bench.context).unwrap();
        bench.batch(&subject, &config, Precision::F32)
    }

    #[test]
    fn the_largest_batch_fits_and_one_step_more_does_not() {
        let bench = bench(1 << 30, None);
        for name in ["attention", "rat:16", "rat:16+local_attention", "rnn"] {
            let (batch, limit) = batch_of(&bench, name).unwrap();
            let config = bench.size.config(&name.parse().unwrap(), bench.context).unwrap();
            let bytes = |batch: usize| {
                fixed_bytes(&config, Precision::F32)
                    + batch as u64 * sequence_bytes(&config, 1024, Precision::F32)
            };

            assert_eq!((limit, batch % 16), (BatchLimit::Memory, 0), "{name}");
            assert!(bytes(batch) <= planned(1 << 30) && bytes(batch + 16) > planned(1 << 30));
        }
        assert!(
            batch_of(&bench, "rat:16").unwrap().0 > 8 * batch_of(&bench, "attention").unwrap().0
        );
    }

    #[test]
    fn a_batch_has_bounds_on_both_sides() {
        assert_eq!(batch_of(&bench(1 << 30, Some(20)), "rnn").unwrap(), (20, BatchLimit::Most));
        let wrong = batch_of(&bench(1 << 20, None), "attention").unwrap_err();
        assert!(wrong.to_string().starts_with("attention: one sequence takes "), "{wrong}");
    }
}

//! A layer: training, a prompt and one token, over lengths; then one token over batches.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Distribution, Tensor};
use serde::Serialize;

use super::size::{ModelSize, Scale};
use super::subject::Subject;
use super::timing::{Timer, wait};
use super::{BenchError, check};
use crate::convert::non_zero;
use crate::device::Hardware;
use crate::model::{CacheWidths, MixerKind, SoleLayer};

/// What is measured of layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBench {
    /// The layers; of several by turns the first is measured.
    pub subjects: Vec<Subject>,
    /// Their size.
    pub size: ModelSize,
    /// Tokens in a sequence.
    pub lengths: Vec<NonZeroUsize>,
    /// Tokens of a batch: it has as many sequences as fit, and at least one.
    pub tokens: NonZeroUsize,
    /// Batches that one token is also measured with, at each length.
    pub batches: Vec<NonZeroUsize>,
    /// How many bytes the caches of a layer may take.
    pub memory: u64,
}

/// The times of a layer at one length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerRow {
    /// The layer.
    pub layer: String,
    /// Tokens in a sequence.
    pub length: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Forward pass, mean and backward pass, in milliseconds.
    pub train_ms: f64,
    /// Reading the batch into the cache, in milliseconds.
    pub prefill_ms: f64,
    /// One token of each sequence at the last position, in milliseconds.
    pub step_ms: f64,
    /// The same for other batches.
    pub steps: Vec<BatchStep>,
}

/// The time of one token of each sequence of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BatchStep {
    /// Sequences.
    pub batch: usize,
    /// Milliseconds; none where the cache takes more memory than there is.
    pub ms: Option<f64>,
}

impl LayerBench {
    /// The usual bench: the paper's on a GPU, 2,048 tokens at most on the CPU.
    pub fn usual(scale: Scale, memory: u64) -> Self {
        let subject = |mixer, chunk_len| Subject { mixers: vec![mixer], chunk_len };
        let subjects = vec![
            subject(MixerKind::Attention, None),
            subject(MixerKind::Rnn, None),
            subject(MixerKind::Rat, Some(non_zero!(16))),
            subject(MixerKind::Rat, Some(non_zero!(64))),
        ];
        let powers = |from: u32, to: u32| {
            (from..=to).map(|power| NonZeroUsize::MIN.saturating_add((1 << power) - 1)).collect()
        };
        let size = ModelSize::usual(scale);
        match scale {
            Scale::Cpu => Self {
                subjects,
                size,
                lengths: powers(8, 11),
                tokens: non_zero!(2048),
                batches: vec![non_zero!(16), non_zero!(64)],
                memory,
            },
            Scale::Gpu => Self {
                subjects,
                size,
                lengths: powers(12, 18),
                tokens: non_zero!(262_144),
                batches: [64, 128, 256, 512, 1024, 4096]
                    .into_iter()
                    .filter_map(NonZeroUsize::new)
                    .collect(),
                memory,
            },
        }
    }

    /// Measures, and tells each row when it is there.
    ///
    /// # Errors
    /// Returns [`BenchError`] where the numbers do not fit together, or the user stops.
    pub fn run(
        &self,
        device: &Device,
        hardware: Hardware,
        stop: &AtomicBool,
        mut told: impl FnMut(&LayerRow),
    ) -> Result<Vec<LayerRow>, BenchError> {
        let precision = hardware.usual_precision();
        let timer = Timer::new(device, hardware.is_gpu());
        let mut rows = Vec::new();
        for subject in &self.subjects {
            for &length in &self.lengths {
                let config = self.size.config(subject, length)?;
                let one = crate::model::ModelConfig { layers: NonZeroUsize::MIN, ..config.clone() };
                let bytes = one.cache_bytes(length.get(), CacheWidths::of(precision));
                let layer = SoleLayer::new(&config, precision, device);
                let row = self.row(subject, length.get(), bytes, &layer, (&timer, device), stop)?;
                told(&row);
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn row(
        &self,
        subject: &Subject,
        length: usize,
        bytes: u64,
        layer: &SoleLayer,
        (timer, device): (&Timer, &Device),
        stop: &AtomicBool,
    ) -> Result<LayerRow, BenchError> {
        let batch = (self.tokens.get() / length).max(1);
        let draw = |batch: usize, length: usize| {
            let shape = [batch, length, self.size.width.get()];
            Tensor::<3>::random(shape, Distribution::Normal(0.0, 0.02), device)
        };
        check(stop)?;
        let x = draw(batch, length);
        let train_ms = timer.mean_ms(|| wait(layer.train(x.clone())));
        check(stop)?;
        let mut cache = layer.cache(batch, length);
        let prefill_ms = timer.mean_ms(|| wait(layer.prefill(&mut cache, &x)));
        drop((cache, x));
        let step = |batch: usize| {
            let (mut cache, x) = (layer.cache(batch, length), draw(batch, 1));
            timer.mean_ms(|| wait(layer.step(&mut cache, x.clone())))
        };
        check(stop)?;
        let step_ms = step(batch);
        let mut steps = Vec::new();
        for batch in self.batches.iter().map(|batch| batch.get()) {
            check(stop)?;
            let fits = bytes.saturating_mul(batch as u64) <= self.memory;
            steps.push(BatchStep { batch, ms: fits.then(|| step(batch)) });
        }
        let layer = Subject { mixers: subject.mixers[..1].to_vec(), ..subject.clone() }.to_string();
        Ok(LayerRow { layer, length, batch, train_ms, prefill_ms, step_ms, steps })
    }
}

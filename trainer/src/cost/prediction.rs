//! What an iteration costs on a GPU, from operations and bytes.

use std::fmt;

use ratdata_console::grouped;
use serde::Serialize;

use super::gpu_model::GpuModel;
use crate::experiment::Experiment;
use crate::model::{MixerKind, ModelConfig, Precision};

/// The speed of an experiment on a GPU, by count.
///
/// Matrix products take their operations at the rate that Burn's products reach. All else takes the
/// bytes that its kernels read and write, at the rate of the GPU's memory. Nothing of it was measured on a
/// GPU; the comments of this file name what each figure counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The GPU.
    pub gpu: GpuModel,
    /// Tokens that the run trains on in a second.
    pub tokens_per_second: f64,
    /// The part of the GPU's peak that the operations of the model need; recomputation does not count.
    pub mfu: f64,
    /// Seconds of one iteration.
    pub iteration_seconds: f64,
    /// What they are spent on, the largest first.
    pub parts: Vec<PartCost>,
}

/// What one part of an iteration costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PartCost {
    /// The part.
    pub part: Part,
    /// Its seconds in one iteration.
    pub seconds: f64,
}

/// The parts of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Matrix products, those of attention too.
    Products,
    /// The scores of attention: softmax under a mask, and the sums of derivatives over tiles.
    Scores,
    /// The norms of blocks.
    Norms,
    /// Gates, scans, and the casts and copies around them.
    Recurrence,
    /// Rotary angles.
    Rotary,
    /// The GELU.
    Gelu,
    /// The softmax over the vocabulary, and the sums of the embedding's derivatives.
    OutputLayer,
    /// The embedding's backward pass.
    Embedding,
    /// Casts of weights and of their gradients.
    Casts,
    /// The sums of gradients over micro-batches.
    Sums,
    /// Norm, clipping and `AdamW`.
    Update,
    /// What the program waits to launch kernels, where they take less time than that.
    Launches,
}

/// Scores that are in memory at a time, in bytes of f32, and how many logits are.
const SCORES_AT_A_TIME: f64 = 268_435_456.0;
const LOGITS_AT_A_TIME: f64 = 268_435_456.0;
/// Time steps in a segment of a scan that goes by segments.
const SEGMENT: f64 = 128.0;
/// Seconds between two launches of a kernel, about.
const LAUNCH_SECONDS: f64 = 5e-6;
/// Seconds until a value arrives from memory, and the bytes that a thread of the scan has under way.
const LATENCY: f64 = 0.7e-6;
const BYTES_UNDER_WAY: f64 = 32.0;
/// Remainders of ids that the embedding's backward pass has threads for, and what a GPU issues in a second, for 32
/// threads at a time: four in each clock of its 130 processors, about.
const REMAINDERS: f64 = 64.0;
const INSTRUCTIONS_A_SECOND: f64 = 0.9e12;

/// The figures of one micro-batch.
struct MicroBatch<'a> {
    model: &'a ModelConfig,
    gpu: GpuModel,
    precision: Precision,
    /// Bytes of a value in the type of the layers.
    narrow: f64,
    /// How often a block's forward pass runs.
    forwards: f64,
    sequences: f64,
    tokens: f64,
}

impl Prediction {
    /// Predicts the speed of an experiment whose layers compute in a type.
    pub fn new(experiment: &Experiment, precision: Precision, gpu: GpuModel) -> Self {
        let (model, training) = (&experiment.model, &experiment.training);
        let seq = model.seq_len.get() as f64;
        let sequences = training.micro_batch.min(training.global_batch).get() as f64;
        let micro = MicroBatch {
            model,
            gpu,
            precision,
            narrow: if precision == Precision::Bf16 { 2.0 } else { 4.0 },
            forwards: if training.recompute { 2.0 } else { 1.0 },
            sequences,
            tokens: sequences * seq,
        };
        let batch = training.global_batch.get() as f64;
        let count = batch / sequences;
        let mut parts: Vec<PartCost> = micro
            .parts()
            .into_iter()
            .map(|(part, seconds)| PartCost { part, seconds: seconds * count })
            .collect();
        let parameters = model.num_params() as f64;
        // Four numbers of f32 are read and three written; 12 bytes are for the norm.
        let update = 40.0 * parameters / gpu.bytes_per_second();
        parts.push(PartCost { part: Part::Update, seconds: update });
        if precision == Precision::Bf16 {
            // The weights are cast once.
            let casts = 6.0 * parameters / gpu.bytes_per_second();
            parts
                .iter_mut()
                .filter(|cost| cost.part == Part::Casts)
                .for_each(|cost| cost.seconds += casts);
        }
        let sums = 12.0 * parameters * (count - 1.0).max(0.0) / gpu.bytes_per_second();
        parts.push(PartCost { part: Part::Sums, seconds: sums });
        let busy: f64 = parts.iter().map(|part| part.seconds).sum();
        let launches = (0..model.layers.get()).map(|layer| launches(model.mixer(layer)));
        let launching = LAUNCH_SECONDS * launches.sum::<f64>() * count;
        parts.push(PartCost { part: Part::Launches, seconds: (launching - busy).max(0.0) });
        parts.retain(|part| part.seconds > 0.0);
        parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let iteration_seconds = busy.max(launching);
        let tokens_per_second = batch * seq / iteration_seconds;
        let flops = model.flops_per_token() as f64 * tokens_per_second;
        let mfu = flops / gpu.peak_flops(precision);
        Self { gpu, tokens_per_second, mfu, iteration_seconds, parts }
    }
}

/// Returns the launches of a block for a micro-batch, forward and backward, as `examples/launches.rs` counts them.
fn launches(kind: MixerKind) -> f64 {
    match kind {
        MixerKind::Attention => 86.0,
        MixerKind::LocalAttention => 90.0,
        MixerKind::Rnn => 51.0,
        MixerKind::Rat => 113.0,
    }
}

impl MicroBatch<'_> {
    /// Returns the seconds of each part.
    fn parts(&self) -> Vec<(Part, f64)> {
        let mut parts = vec![
            (Part::Products, self.products()),
            (Part::Norms, self.norms()),
            (Part::Gelu, self.gelu()),
            (Part::OutputLayer, self.output_layer()),
            (Part::Embedding, self.embedding()),
            (Part::Casts, self.casts()),
        ];
        for layer in 0..self.model.layers.get() {
            let kind = self.model.mixer(layer);
            parts.push((Part::Scores, self.scores(kind)));
            parts.push((Part::Recurrence, self.recurrence(kind)));
            parts.push((Part::Rotary, self.rotary(kind)));
        }
        let mut sums: Vec<(Part, f64)> = Vec::new();
        for (part, seconds) in parts {
            match sums.iter_mut().find(|(other, _)| *other == part) {
                Some((_, sum)) => *sum += seconds,
                None => sums.push((part, seconds)),
            }
        }
        sums
    }

    fn seconds(&self, bytes: f64) -> f64 {
        bytes / self.gpu.bytes_per_second()
    }

    fn channels(&self) -> f64 {
        self.tokens * self.model.d_model.get() as f64
    }

    /// Adds the passes of a block up: bytes forward for each forward pass, and bytes backward.
    fn passes(&self, forward: f64, backward: f64) -> f64 {
        forward * self.forwards + backward
    }

    /// Of the six operations of a weight, two are of a forward pass.
    fn products(&self) -> f64 {
        let flops = self.model.flops_per_token() as f64 * self.tokens;
        flops * self.passes(2.0, 4.0) / 6.0 / self.gpu.reached_flops(self.precision)
    }

    /// The kernels of the norm read and write each value once; that of the gain reads two again.
    fn norms(&self) -> f64 {
        let count = 2.0 * self.model.layers.get() as f64;
        self.seconds(count * self.channels() * self.narrow * self.passes(2.0, 5.0))
    }

    /// The kernels of the GELU read and write each value once.
    fn gelu(&self) -> f64 {
        let layers = self.model.layers.get() as f64;
        let values = layers * self.channels() * self.model.ffn_mult.get() as f64;
        self.seconds(values * self.narrow * self.passes(2.0, 3.0))
    }

    /// The kernel of the softmax reads the logits three times and writes their derivatives once, and each block
    /// of tokens adds its derivatives by the embedding to a sum in f32.
    fn output_layer(&self) -> f64 {
        let vocab = self.model.vocab_size.get() as f64;
        let logits = self.tokens * vocab;
        let blocks = (logits / LOGITS_AT_A_TIME).ceil();
        let embedding = vocab * self.model.d_model.get() as f64;
        self.seconds(4.0 * self.narrow * logits + 18.0 * blocks * embedding)
    }

    /// The kernel has a thread for each channel and remainder of ids, which reads all ids, in about 8 instructions
    /// each for 32 threads, and reads a derivative and adds it to a sum in f32 where an id is its own.
    fn embedding(&self) -> f64 {
        let threads = REMAINDERS * self.model.d_model.get() as f64;
        let reading = self.tokens * threads / 32.0 * 8.0 / INSTRUCTIONS_A_SECOND;
        reading + self.seconds(self.channels() * (self.narrow + 8.0))
    }

    /// In bf16 each micro-batch casts the gradients of weights to f32.
    fn casts(&self) -> f64 {
        if self.precision == Precision::F32 {
            return 0.0;
        }
        self.seconds(self.model.num_params() as f64 * 6.0)
    }

    /// Products are cast to f32 and go through one kernel forward and one backward; `rat` joins them with the
    /// product of each query's own key before. Each tile of queries adds its derivatives by keys and values to
    /// sums in f32.
    fn scores(&self, kind: MixerKind) -> f64 {
        let (visible, all) = (self.model.keys_seen(kind) as f64, self.model.keys(kind) as f64);
        if all == 0.0 {
            return 0.0;
        }
        let heads = (self.model.d_model.get() / self.model.head_dim.get()) as f64;
        let scores = self.tokens * heads * visible;
        let tiles = (4.0 * self.tokens * heads * all / SCORES_AT_A_TIME).ceil();
        let sums = if tiles > 1.0 {
            let keys = self.sequences * all * self.model.d_model.get() as f64;
            tiles * 2.0 * 12.0 * keys
        } else {
            0.0
        };
        let bytes = match kind {
            MixerKind::Rat => self.passes(22.0, 34.0),
            _ => self.passes(14.0, 22.0),
        };
        self.seconds(scores * bytes + sums)
    }

    /// The kernels of scan and output gate read and write each value once. In `rat` queries are copied for all heads,
    /// and copies bring queries, keys and the output of attention from time steps by heads to heads by time steps
    /// and back.
    fn recurrence(&self, kind: MixerKind) -> f64 {
        let (width, chunk) = (self.model.d_model.get() as f64, self.model.chunk_len.get() as f64);
        let (copies, kernels, rows) = match kind {
            MixerKind::Attention | MixerKind::LocalAttention => return 0.0,
            // By segments, which read gates and inputs twice.
            MixerKind::Rnn => (
                0.0,
                self.passes(8.0, 15.0),
                self.sequences * (self.model.seq_len.get() as f64 / SEGMENT).ceil(),
            ),
            MixerKind::Rat => {
                let keys = (self.model.kv_groups.get() * self.model.head_dim.get()) as f64 / width;
                let copies = self.passes(7.0 + keys, 11.0 + keys);
                let kernels = self.passes(7.0 + keys, 15.0 + 4.0 * keys);
                (copies, kernels, self.tokens / chunk)
            }
        };
        // A thread for each row and channel: few of them cannot keep the memory busy.
        let under_way = rows * width * BYTES_UNDER_WAY / LATENCY;
        let bytes = self.channels() * self.narrow;
        self.seconds(bytes * copies) + bytes * kernels / self.gpu.bytes_per_second().min(under_way)
    }

    /// One kernel for queries and one for keys, forward and backward.
    fn rotary(&self, kind: MixerKind) -> f64 {
        if kind == MixerKind::Rnn {
            return 0.0;
        }
        self.seconds(2.0 * self.channels() * self.narrow * self.passes(2.0, 2.0))
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gpu, tokens_per_second, mfu, iteration_seconds, parts } = self;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive and far below 2^53"
        )]
        let rate = tokens_per_second.round() as u64;
        write!(
            f,
            "on one {gpu}    about {} tokens/s, MFU {:.0}%, {iteration_seconds:.2} s an iteration (by count, not measured):",
            grouped(rate),
            100.0 * mfu
        )?;
        for PartCost { part, seconds } in parts {
            let share = 100.0 * seconds / iteration_seconds;
            if share >= 0.5 {
                write!(f, "\n  {share:>3.0}%  {part}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Products => "matrix products",
            Self::Scores => "scores of attention",
            Self::Norms => "norms",
            Self::Recurrence => "gates and scans",
            Self::Rotary => "rotary angles",
            Self::Gelu => "GELU",
            Self::OutputLayer => "softmax of the output layer",
            Self::Embedding => "embedding, backward",
            Self::Casts => "casts of weights",
            Self::Sums => "sums of gradients",
            Self::Update => "AdamW",
            Self::Launches => "launching kernels",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::find;

    /// Returns a prediction for one micro-batch of 8 · 4,096 tokens on an H100, and its parts.
    fn of(name: &str) -> Prediction {
        let mut experiment = find(name, &[]).unwrap().experiment;
        experiment.training.global_batch = experiment.training.micro_batch;
        Prediction::new(&experiment, Precision::Bf16, GpuModel::H100)
    }

    impl Prediction {
        fn seconds(&self, part: Part) -> f64 {
            self.parts.iter().find(|cost| cost.part == part).map_or(0.0, |cost| cost.seconds)
        }
    }

    /// The figures were worked out by hand, from the shapes and the kernels of each layer.
    #[test]
    fn the_parts_of_a_micro_batch_are_those_worked_out_by_hand() {
        let (rat, attention, rnn) =
            (of("fineweb_edu/rat-xl"), of("fineweb_edu/attention-xl"), of("fineweb_edu/rnn-xl"));
        let cases = [
            // 3.4e14 operations, a quarter of them recomputation, at 350e12 a second.
            (&rat, Part::Products, 1.0),
            // 42 ms in each of 24 layers, half of it the sums of 32 tiles.
            (&attention, Part::Scores, 1.0),
            (&rat, Part::Scores, 0.053),
            (&rat, Part::Norms, 0.023),
            // 28.5 bytes a channel in each of two forward passes, and 53 backward.
            (&rat, Part::Recurrence, 0.070),
            (&rnn, Part::Recurrence, 0.040),
            (&rat, Part::Rotary, 0.0154),
            (&rat, Part::Gelu, 0.035),
            (&rat, Part::OutputLayer, 0.0052),
            (&rat, Part::Embedding, 0.0015),
            (&rat, Part::Casts, 0.0064),
            (&rat, Part::Update, 0.0214),
        ];

        for (found, part, expected) in cases {
            let seconds = found.seconds(part);
            assert!((seconds / expected - 1.0).abs() < 0.15, "{part}: {seconds} for {expected}");
        }
        assert!(rnn.seconds(Part::Scores) + attention.seconds(Part::Recurrence) == 0.0);
    }

    #[test]
    fn the_parts_of_an_iteration_add_up() {
        for name in ["tiny-rat", "fineweb_edu/rat-xl", "sft/attention-xl"] {
            let experiment = find(name, &[]).unwrap().experiment;
            for gpu in GpuModel::ALL {
                let found = Prediction::new(&experiment, Precision::Bf16, gpu);

                let sum: f64 = found.parts.iter().map(|part| part.seconds).sum();
                assert!((sum / found.iteration_seconds - 1.0).abs() < 1e-9, "{name}, {gpu}");
                assert!(found.mfu > 0.0 && found.mfu < 0.6, "{name}, {gpu}: {}", found.mfu);
                let batch = experiment.training.global_batch.get() * experiment.model.seq_len.get();
                let tokens = found.tokens_per_second * found.iteration_seconds;
                assert!((tokens / batch as f64 - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_tiny_model_waits_for_launches() {
        let share_of_launches = |name: &str| {
            let experiment = find(name, &[]).unwrap().experiment;
            let found = Prediction::new(&experiment, Precision::Bf16, GpuModel::H100);
            let launches = found.parts.iter().find(|part| part.part == Part::Launches);
            launches.map_or(0.0, |launches| launches.seconds) / found.iteration_seconds
        };

        let (tiny, large) =
            (share_of_launches("tiny-rat"), share_of_launches("fineweb_edu/rat-xl"));

        assert!(tiny > 0.1 && tiny > 10.0 * large, "{tiny}, {large}");
    }

    #[test]
    fn more_bandwidth_and_bf16_are_faster() {
        let experiment = find("fineweb_edu/attention-xl", &[]).unwrap().experiment;
        let rate = |precision, gpu| Prediction::new(&experiment, precision, gpu).tokens_per_second;

        let slow = rate(Precision::Bf16, GpuModel::H100);

        assert!(rate(Precision::Bf16, GpuModel::H200) > slow);
        assert!(rate(Precision::F32, GpuModel::H100) < slow);
    }
}

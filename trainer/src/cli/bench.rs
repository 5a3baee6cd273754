//! `ratdata-train bench`: speed of layers and of decoding, as a table, JSON and a plot.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use ratdata_console::{Plot, Scale as AxisScale, Series, grouped, interrupt, sized};
use ratdata_schemas::{ArtifactError, write_bytes, write_json};
use ratdata_train::bench::{
    BatchLimit, LayerBench, LayerRow, ModelBench, ModelRow, Scale, Subject,
};
use ratdata_train::device::{DeviceChoice, Hardware};
use ratdata_train::train::Report as _;
use serde::Serialize;

use super::device_panics;
use super::failure::Failure;
use super::terminal::Terminal;

/// Measure the speed of layers and of decoding
///
/// `layer` times training, reading a prompt and one token of single layers. `model` finds the largest
/// batch whose caches fit and decodes with it. On a CPU the usual sizes are small; on a GPU they are
/// the paper's.
#[derive(Debug, Parser)]
#[command(name = "ratdata-train bench", bin_name = "ratdata bench", version, max_term_width = 100)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,

    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print the result and errors alone, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time single layers: training, reading a prompt, and one token at the last position
    Layer(LayerArgs),
    /// Time decoding with the largest batch whose caches fit
    Model(ModelArgs),
}

/// The options of both benches; what is not given is as usual for the device.
#[derive(Debug, Args)]
struct CommonArgs {
    /// What is measured, with commas: `attention`, `rnn`, `rat:16`, `rat:16+local_attention`
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    layers: Vec<Subject>,

    /// Width of the residual stream
    #[arg(long, value_name = "N")]
    width: Option<NonZeroUsize>,

    /// Heads of each layer
    #[arg(long, value_name = "N")]
    heads: Option<NonZeroUsize>,

    /// Tokens in a chunk of `rat`, where `--layers` does not say it
    #[arg(long, value_name = "N")]
    chunk: Option<NonZeroUsize>,

    /// Tokens before its own that a query of `local_attention` sees
    #[arg(long, value_name = "N")]
    window: Option<NonZeroUsize>,

    /// How much memory may be planned with, in MiB [default: what is free on the device]
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,

    /// Where to compute: `auto`, `cpu`, `cuda[:N]` or `wgpu[:N]`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// A folder that gets the result as JSON and as a plot
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct LayerArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Tokens in a sequence, with commas
    #[arg(long, value_name = "N", value_delimiter = ',')]
    lengths: Vec<NonZeroUsize>,

    /// Tokens in a batch, which has as many sequences as fit
    #[arg(long, value_name = "N")]
    tokens: Option<NonZeroUsize>,

    /// Batches that one token is also measured with, with commas
    #[arg(long, value_name = "N", value_delimiter = ',')]
    batches: Vec<NonZeroUsize>,
}

#[derive(Debug, Args)]
struct ModelArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Blocks of the model
    #[arg(long, value_name = "N")]
    blocks: Option<NonZeroUsize>,

    /// Rows of the embedding
    #[arg(long, value_name = "N")]
    vocabulary: Option<NonZeroUsize>,

    /// Tokens in a sequence, at the end
    #[arg(long, value_name = "N")]
    context: Option<NonZeroUsize>,

    /// How many of them are generated
    #[arg(long, value_name = "N")]
    new: Option<NonZeroUsize>,

    /// What batches are multiples of
    #[arg(long, value_name = "N")]
    step: Option<NonZeroUsize>,

    /// The largest batch, whatever the memory holds [default: 64 on a CPU]
    #[arg(long, value_name = "N")]
    most: Option<NonZeroUsize>,

    /// Choose the most likely token in each step and continue with it, as `generate` does; without it
    /// each step computes all logits, as in the RAT paper
    #[arg(long)]
    greedy: bool,
}

/// Measures what the command line asks for.
pub(crate) fn bench(args: &BenchArgs, terminal: &mut Terminal) -> Result<(), Failure> {
    interrupt::watch();
    let common = match &args.what {
        What::Layer(args) => &args.common,
        What::Model(args) => &args.common,
    };
    let device = common.device.resolve()?;
    let hardware = Hardware::of(&device);
    let scale = if hardware.is_gpu() { Scale::Gpu } else { Scale::Cpu };
    let free = || common.device.free_memory().unwrap_or(u64::MAX);
    let memory = common.memory.map_or_else(free, |mib| mib.saturating_mul(1 << 20));
    match &args.what {
        What::Layer(layer) => {
            let bench = layer.bench(LayerBench::usual(scale, memory));
            let work = || {
                bench.run(&device, hardware, interrupt::flag(), |row| {
                    terminal.note(&format!("{} at {}: measured", row.layer, row.length));
                })
            };
            let rows = device_panics::on(hardware, work)??;
            ended(terminal, common.out.as_deref(), &Layers { rows, bench: "layer" })
        }
        What::Model(model) => {
            let bench = model.bench(ModelBench::usual(scale, memory));
            let work = || {
                bench.run(&device, hardware, interrupt::flag(), |row| {
                    terminal.note(&format!("{} with {} sequences: measured", row.model, row.batch));
                })
            };
            let rows = device_panics::on(hardware, work)??;
            let models = Models {
                bench: "model",
                width: bench.size.width,
                blocks: bench.size.layers,
                vocabulary: bench.size.vocabulary,
                context: bench.context,
                new: bench.new,
                rows,
            };
            ended(terminal, common.out.as_deref(), &models)
        }
    }
}

impl LayerArgs {
    /// Returns the usual bench with what was given.
    fn bench(&self, mut bench: LayerBench) -> LayerBench {
        self.common.change(&mut bench.size, &mut bench.subjects);
        given(&mut bench.lengths, &self.lengths);
        given(&mut bench.batches, &self.batches);
        bench.tokens = self.tokens.unwrap_or(bench.tokens);
        bench
    }
}

impl ModelArgs {
    /// Returns the usual bench with what was given.
    fn bench(&self, mut bench: ModelBench) -> ModelBench {
        self.common.change(&mut bench.size, &mut bench.subjects);
        bench.size.layers = self.blocks.unwrap_or(bench.size.layers);
        bench.size.vocabulary = self.vocabulary.unwrap_or(bench.size.vocabulary);
        bench.context = self.context.unwrap_or(bench.context);
        bench.new = self.new.unwrap_or(bench.new);
        bench.batch_step = self.step.unwrap_or(bench.batch_step);
        bench.most = self.most.or(bench.most);
        bench.greedy = self.greedy;
        bench
    }
}

impl CommonArgs {
    fn change(&self, size: &mut ratdata_train::bench::ModelSize, subjects: &mut Vec<Subject>) {
        given(subjects, &self.layers);
        size.width = self.width.unwrap_or(size.width);
        size.heads = self.heads.unwrap_or(size.heads);
        size.chunk_len = self.chunk.unwrap_or(size.chunk_len);
        size.window = self.window.unwrap_or(size.window);
    }
}

fn given<T: Clone>(usual: &mut Vec<T>, given: &[T]) {
    if !given.is_empty() {
        *usual = given.to_vec();
    }
}

/// The result of a bench.
trait Outcome: Serialize + fmt::Display {
    /// The name of its files.
    const NAME: &str;
    /// Draws it.
    fn plot(&self) -> Plot;
}

fn ended<T: Outcome>(terminal: &Terminal, out: Option<&Path>, found: &T) -> Result<(), Failure> {
    if let Some(out) = out {
        write(out, found).map_err(|wrong| Failure::failed(wrong.to_string()))?;
    }
    terminal.emit(found)
}

fn write<T: Outcome>(out: &Path, found: &T) -> Result<(), ArtifactError> {
    write_json(&out.join(format!("{}.json", T::NAME)), found)?;
    write_bytes(&out.join(format!("{}.svg", T::NAME)), found.plot().svg().as_bytes())
}

#[derive(Serialize)]
struct Layers {
    bench: &'static str,
    rows: Vec<LayerRow>,
}

impl Outcome for Layers {
    const NAME: &str = "layer";

    fn plot(&self) -> Plot {
        let mut series: Vec<Series> = Vec::new();
        for row in &self.rows {
            let point = (row.length as f64, row.step_ms);
            match series.iter_mut().find(|series| series.name == row.layer) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: row.layer.clone(), points: vec![point] }),
            }
        }
        let scales = (AxisScale::Log, AxisScale::Log);
        Plot::lines("one token of each sequence, ms", "tokens in a sequence", scales, &series)
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:20} {:>8} {:>6} {:>10} {:>10} {:>10}",
            "layer", "length", "batch", "train ms", "prefill ms", "step ms"
        )?;
        for batch in self.rows.first().into_iter().flat_map(|row| &row.steps) {
            write!(f, " {:>9}", format!("× {}", batch.batch))?;
        }
        for row in &self.rows {
            let LayerRow { layer, length, batch, train_ms, prefill_ms, step_ms, steps } = row;
            write!(
                f,
                "\n{layer:20} {length:>8} {batch:>6} {train_ms:>10.2} {prefill_ms:>10.2} {step_ms:>10.4}"
            )?;
            for step in steps {
                match step.ms {
                    Some(ms) => write!(f, " {ms:>9.4}")?,
                    None => write!(f, " {:>9}", "OOM")?,
                }
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Models {
    bench: &'static str,
    width: NonZeroUsize,
    blocks: NonZeroUsize,
    vocabulary: NonZeroUsize,
    /// Tokens in a sequence at the end, and how many of them were generated.
    context: NonZeroUsize,
    new: NonZeroUsize,
    rows: Vec<ModelRow>,
}

impl Outcome for Models {
    const NAME: &str = "model";

    fn plot(&self) -> Plot {
        let bars: Vec<(String, f64)> =
            self.rows.iter().map(|row| (row.model.clone(), row.tokens_per_second)).collect();
        Plot::bars("tokens a second with the largest batch", "model", &bars)
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:28} {:>14} {:>6} {:>8} {:>10}",
            "model", "cache/sequence", "batch", "bound by", "tokens/s"
        )?;
        for row in &self.rows {
            let bound = match row.limit {
                BatchLimit::Memory => "memory",
                BatchLimit::Most => "--most",
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a speed is positive, and shown rounded"
            )]
            let speed = grouped(row.tokens_per_second.round() as u64);
            let (model, cache, batch) = (&row.model, sized(row.cache_bytes), row.batch);
            write!(f, "\n{model:28} {cache:>14} {batch:>6} {bound:>8} {speed:>10}")?;
        }
        Ok(())
    }
}

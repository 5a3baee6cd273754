//! The command line of `ratdata-train`.

mod args;
mod bench;
mod device_panics;
mod failure;
mod generate;
mod terminal;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;
use ratdata_console::{grouped, interrupt, lasting};
use serde::Serialize;

use self::args::{Args, Wanted};
use self::bench::BenchArgs;
use self::failure::Failure;
use self::generate::GenerateArgs;
use self::terminal::Terminal;
use ratdata_train::cost::Prediction;
use ratdata_train::data::SequenceLocation;
use ratdata_train::device::Hardware;
use ratdata_train::experiment::{NamedExperiment, find, names};
use ratdata_train::train::{CHECKED_TOKENS, Job, Plan, Report as _, RunOptions, Summary};

/// Does what the command line asks for and returns the exit status.
pub(crate) fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // No experiment has these names.
    if words.get(1).is_some_and(|word| word == "generate") {
        words.remove(1);
        return match GenerateArgs::try_parse_from(words) {
            Ok(args) => ended(&Terminal::new(true, true), generate::generate(&args)),
            Err(usage) => failure::report_usage(&usage),
        };
    }
    if words.get(1).is_some_and(|word| word == "bench") {
        words.remove(1);
        return match BenchArgs::try_parse_from(words) {
            Ok(args) => {
                let mut terminal = Terminal::new(args.json, args.quiet);
                let done = bench::bench(&args, &mut terminal);
                ended(&terminal, done)
            }
            Err(usage) => failure::report_usage(&usage),
        };
    }
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(usage) => return failure::report_usage(&usage),
    };
    let mut terminal = Terminal::new(args.json, args.quiet);
    let done = train(&args, &mut terminal);
    ended(&terminal, done)
}

/// Prints why the work failed, and returns the exit status.
fn ended(terminal: &Terminal, done: Result<(), Failure>) -> ExitCode {
    done.map_or_else(
        |failure| {
            terminal.failure(&failure);
            failure.status()
        },
        |()| ExitCode::SUCCESS,
    )
}

fn train(args: &Args, terminal: &mut Terminal) -> Result<(), Failure> {
    let name = match args.wanted()? {
        Wanted::Experiment(name) => name,
        Wanted::List => return list(terminal),
    };
    let NamedExperiment { name, mut experiment } = find(&name, &args.set)?;
    if let Some(data) = &args.data {
        experiment.data.path = Some(data.clone());
        experiment.data.sources.clear();
    }
    let devices =
        args.device.iter().map(|choice| choice.resolve()).collect::<Result<Vec<_>, _>>()?;
    // A plan for a GPU that is elsewhere computes in its types.
    let hardware =
        if args.gpu.is_some() { Hardware::Gpu { has_bf16: true } } else { hardware(&devices) };
    let out = args.out.clone().unwrap_or_else(|| name.below(Path::new("runs")));
    let recomputes = experiment.training.recompute;
    let job = Job::open(name.as_str(), experiment, hardware)?;
    if let Some(iteration) = args.draws {
        return terminal.emit(&Draws(job.drawn_at(iteration)?));
    }
    let free_bytes = match args.gpu {
        Some(gpu) => Some(gpu.memory()),
        None => args.device.iter().filter_map(|choice| choice.free_memory()).min(),
    };
    if let Some(free) = free_bytes
        && job.plan().memory() > free
    {
        let needed = gib(job.plan().memory());
        let where_to = if hardware.is_gpu() { "the GPU" } else { "the CPU" };
        let less = if recomputes { "" } else { " or `--set training.recompute=true`" };
        terminal.warn(&format!(
            "about {needed:.1} GiB of memory are needed on {where_to} and {:.1} GiB are free; a \
             smaller `--set training.micro_batch=N`{less} needs less",
            gib(free)
        ));
    }
    if args.dry_run {
        job.check_start(interrupt::flag())?;
        let checked_sequences = job.check(CHECKED_TOKENS / job.plan().seq_len.max(1))?;
        let (plan, memory_bytes) = (job.plan().clone(), job.plan().memory());
        let predicted = args.gpu.map(|gpu| job.predict(gpu));
        let seen = DryRun { plan, memory_bytes, free_bytes, checked_sequences, predicted };
        return terminal.emit(&seen);
    }
    for source in job.sources().iter().filter(|source| source.validation.is_none()) {
        let path = source.train.path().display();
        terminal.note(&format!("{path}: no validation part of a sequence or more"));
    }
    interrupt::watch();
    let options = RunOptions { out: &out, devices: &devices, resume: args.resume };
    let summary = device_panics::on(hardware, || job.run(options, terminal, interrupt::flag()))?;
    terminal.end_line();
    terminal.emit(&Ended(summary?))
}

/// Returns what all devices of a run can do.
fn hardware(devices: &[Device]) -> Hardware {
    let mut all = devices.iter().map(Hardware::of);
    let first = all.next().unwrap_or(Hardware::Cpu);
    all.fold(first, |one, other| match (one, other) {
        (Hardware::Gpu { has_bf16 }, Hardware::Gpu { has_bf16: other }) => {
            Hardware::Gpu { has_bf16: has_bf16 && other }
        }
        _ => Hardware::Cpu,
    })
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1_u32 << 30)
}

/// The plan of a run, and how much of its data was checked.
#[derive(Serialize)]
struct DryRun {
    #[serde(flatten)]
    plan: Plan,
    /// About how many bytes the run needs at once.
    memory_bytes: u64,
    /// How many bytes are free on the device, if the system says.
    free_bytes: Option<u64>,
    checked_sequences: u64,
    /// The speed on the GPU that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<Prediction>,
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, memory_bytes, free_bytes, checked_sequences, predicted } = self;
        write!(f, "{plan}\nneeded       about {:.2} GiB", gib(*memory_bytes))?;
        if let Some(free) = free_bytes {
            write!(f, " of {:.2} GiB that are free on the device", gib(*free))?;
        }
        if let Some(predicted) = predicted {
            let seconds = plan.tokens as f64 / predicted.tokens_per_second;
            write!(f, "\n{predicted}\nthe run      takes about {}", lasting(seconds))?;
        }
        let checked = grouped(*checked_sequences);
        write!(f, "\nchecked      {checked} sequences; nothing was written")
    }
}

/// Where the sequences of an iteration are on disk.
#[derive(Serialize)]
#[serde(transparent)]
struct Draws(Vec<SequenceLocation>);

impl fmt::Display for Draws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, location) in self.0.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            let SequenceLocation { path, split, row, .. } = location;
            write!(f, "{line}{} `{split}` row {row}", path.display())?;
        }
        Ok(())
    }
}

/// The summary of a run, in words.
#[derive(Serialize)]
#[serde(transparent)]
struct Ended(Summary);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(summary) = self;
        let tokens = grouped(summary.tokens);
        write!(f, "{} iterations, {tokens} tokens", summary.iterations)?;
        if summary.tokens_per_second > 0.0 {
            write!(f, ", {:.0} tokens/s", summary.tokens_per_second)?;
        }
        writeln!(f)?;
        if let Some(loss) = summary.train_loss {
            writeln!(f, "train loss       {loss:.4}")?;
        }
        if let (Some(loss), Some(perplexity)) = (summary.val_loss, summary.val_perplexity) {
            writeln!(f, "validation loss  {loss:.4}, perplexity {perplexity:.2}")?;
        }
        write!(f, "checkpoint       {}", summary.checkpoint.display())?;
        if let Some(curve) = &summary.curve {
            write!(f, "\nloss curve       {}", curve.display())?;
        }
        Ok(())
    }
}

fn list(terminal: &Terminal) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct List {
        experiments: Vec<&'static str>,
    }
    impl fmt::Display for List {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            writeln!(f, "experiments:")?;
            for name in &self.experiments {
                writeln!(f, "  {name}")?;
            }
            write!(f, "train one: ratdata train NAME --data DIR")
        }
    }
    terminal.emit(&List { experiments: names().collect() })
}

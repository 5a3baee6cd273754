//! `ratdata mix`: artifacts of token bins in, one with so much of each out.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ratdata_console::grouped;
use ratdata_schemas::recipe::{Amount, MOST_EPOCHS, Take, count};
use ratdata_schemas::{PlainName, write_bytes};
use ratdata_tokenize::Share;
use ratdata_tokenize::mix::{MixJob, MixPlan, MixProgress, SHARD_TOKENS};

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::mix_failure;
use crate::number::{thread_count, threads_of};
use crate::progress_line::{ProgressLine, Reached};
use crate::summary::{BinsSummary, MixTable};
use crate::ui::Ui;

/// Mix documents of several artifacts by budgets
///
/// Each artifact gives what its `--take` says: tokens, documents, bytes of text, epochs, or a weight,
/// which is a share of what the others leave of the total. Documents are taken whole, in an order of
/// the seed. A table shows first what each artifact gives, how often, and what is missing. No document
/// comes twice unless you ask for it with `epochs=` or `--max-epochs`: an artifact that is too small is
/// an error, and nothing is written.
///
/// The amounts are about the split `train`. Every other split has all its documents once. The same
/// artifacts and options give the same bytes for any `--num-proc`. After a stop, the same command
/// continues.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MixArgs {
    /// The artifacts of token bins
    #[arg(long, value_name = "DIR", required = true, num_args = 1.., value_hint = clap::ValueHint::DirPath)]
    input: Vec<PathBuf>,

    /// How much of each artifact, in their order: `tokens=N`, `documents=N`, `bytes=N`, `weight=X` or
    /// `epochs=X` [default: epochs=1]
    #[arg(long, num_args = 1.., value_name = "AMOUNT")]
    take: Vec<Take>,

    /// The tokens of the mix, such as 10B; without a total, weights give as much as the artifacts have
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = count, conflicts_with_all = ["documents", "bytes"])]
    tokens: Option<u64>,

    /// The documents of the mix
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = count, conflicts_with = "bytes")]
    documents: Option<u64>,

    /// The bytes of text of the mix, by each artifact's mean bytes a token
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = count)]
    bytes: Option<u64>,

    /// How often an artifact's documents may come where it was not asked for epochs
    #[arg(long, allow_negative_numbers = true, default_value_t = 1.0, value_name = "X", value_parser = epochs)]
    max_epochs: f64,

    /// The seed of the order
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SEED", value_parser = crate::number::whole)]
    seed: u64,

    /// The split that the amounts are about
    #[arg(long, default_value = "train", value_name = "SPLIT")]
    split: PlainName,

    /// The prefix of file names
    #[arg(long, default_value = "mix", value_name = "NAME")]
    name: PlainName,

    /// About how many tokens a file of ids has
    #[arg(long, allow_negative_numbers = true, default_value_t = SHARD_TOKENS, value_name = "N", value_parser = count)]
    shard_tokens: u64,

    /// The number of threads [default: all processors]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    num_proc: Option<NonZeroUsize>,

    /// The folder that becomes the artifact
    #[arg(long, value_name = "DIR", required_unless_present_any = ["plan", "estimate"])]
    out: Option<PathBuf>,

    /// Write only the plan, for other trainers: what each artifact gives, its weight and its bins
    /// [.json or .toml]
    #[arg(long, value_name = "PLAN.json|PLAN.toml", conflicts_with = "out")]
    plan: Option<PathBuf>,

    /// Show only the table
    #[arg(long, conflicts_with = "plan")]
    estimate: bool,

    /// Write the files of share I of N (from 0); a run without this option makes the artifact
    /// [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N", conflicts_with_all = ["plan", "estimate"])]
    shard: Option<Share>,

    /// Replace an existing artifact
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata mix --input data/web --take weight=0.7 --input data/books --take weight=0.3 --tokens 10B --out data/mix
  ratdata mix --input data/web --take tokens=5B --input data/wiki --take epochs=2 --out data/mix
  ratdata mix --input data/web data/code --take weight=2 weight=1 --plan plan.toml";

fn epochs(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(epochs) if epochs > 0.0 && epochs <= MOST_EPOCHS => Ok(epochs),
        _ => Err(format!("found `{text}`, expected epochs above 0 and at most {MOST_EPOCHS}")),
    }
}

impl MixArgs {
    fn job(&self) -> MixJob {
        let total = self
            .tokens
            .map(Amount::Tokens)
            .or_else(|| self.documents.map(Amount::Documents))
            .or_else(|| self.bytes.map(Amount::Bytes));
        MixJob {
            inputs: self.input.clone(),
            takes: self.take.clone(),
            total,
            max_epochs: self.max_epochs,
            seed: self.seed,
            split: self.split.clone(),
            name: self.name.clone(),
            shard_tokens: self.shard_tokens,
            threads: threads_of(self.num_proc),
            out: self.out.clone().unwrap_or_default(),
            force: self.force,
            share: self.shard,
        }
    }
}

/// Runs the command.
pub(crate) fn mix(ui: &Ui, args: &MixArgs) -> Result<(), Failure> {
    let stop = interrupt::flag();
    let job = args.job();
    let planned = job.plan(stop).map_err(|wrong| mix_failure(&wrong))?;
    let table = MixTable(&planned.plan);
    if args.estimate {
        ui.emit(&table)?;
        return planned.plan.check().map_err(|wrong| mix_failure(&wrong));
    }
    if let Some(path) = &args.plan {
        ui.note(&table.to_string());
        planned.plan.check().map_err(|wrong| mix_failure(&wrong))?;
        write_plan(path, &planned.plan)?;
        return ui.emit(&table);
    }
    ui.note(&table.to_string());
    let progress = MixProgress::default();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let ran = ProgressLine::new(ui, "tokens").watch(
        || job.run(&planned, &progress, stop),
        |seconds| {
            let (done, all) = (load(&progress.tokens), load(&progress.all));
            let rate = done as f64 / 1e6 / seconds.max(1e-9);
            let words = format!("{} of {} tokens, {rate:.1}M/s", grouped(done), grouped(all));
            (Reached { done, all }, words)
        },
    );
    let Some(made) = ran.map_err(|wrong| mix_failure(&wrong))? else {
        if let Some(share) = args.shard {
            ui.note(&format!("share {share} is done; run without `--shard` to make the artifact"));
        }
        return Ok(());
    };
    if !made.made {
        ui.note(&format!("{}: already done", job.out.display()));
    }
    ui.emit(&BinsSummary::of(&job.out, &made.manifest, None))
}

/// Writes the plan as its file's ending says.
fn write_plan(path: &Path, plan: &MixPlan) -> Result<(), Failure> {
    let refused = |wrong: &dyn std::fmt::Display| {
        Failure::message(
            Kind::Failed,
            format!("{}: cannot write the plan: {wrong}", path.display()),
        )
    };
    let text = match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => serde_json::to_string_pretty(plan).map_err(|wrong| refused(&wrong))? + "\n",
        Some("toml") => toml::to_string(plan).map_err(|wrong| refused(&wrong))?,
        _ => {
            let message =
                format!("{}: expected a file that ends in .json or .toml", path.display());
            return Err(Failure::message(Kind::Usage, message));
        }
    };
    write_bytes(path, text.as_bytes()).map_err(|wrong| refused(&wrong))
}

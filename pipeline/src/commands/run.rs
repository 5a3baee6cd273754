//! `ratdata run`: a pipeline's stale steps, each as soon as its inputs are there.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;

use super::tokenize::threads_of;
use crate::dag::file::Pipeline;
use crate::dag::plan::Plan;
use crate::dag::run::{Run, pipeline_failure};
use crate::executor::local::{self, Limits};
use crate::executor::task::Share;
use crate::failure::Failure;
use crate::interrupt;
use crate::store::Store;
use crate::ui::Ui;

/// Run a pipeline: what is stale is made, and what is fresh is left alone
///
/// A step is one of this program's commands, or a program of your own, with its options as keys.
/// A result is named by what decides its bytes, so a changed value makes anew what depends on it
/// and nothing else. A run that was stopped goes on when the same command is given again.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// How many threads the steps have together [default: the pipeline's, or all processors]
    #[arg(long, value_name = "N")]
    num_proc: Option<NonZeroUsize>,

    /// How many steps run at once [default: as many as threads and memory allow]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Who runs the steps
    #[arg(long, value_enum, default_value_t = ExecutorArg::Local)]
    executor: ExecutorArg,

    /// Do share I of N (from 0) of the steps that can be shared, and leave the rest to a run without it
    #[arg(long, value_name = "I/N", value_parser = share)]
    shard: Option<Share>,
}

/// A pipeline, some of its steps, and its store.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PipelineArgs {
    /// The pipeline: a TOML file, or the name of one that is compiled in, such as `tiny`
    #[arg(value_name = "PIPELINE")]
    pub(crate) pipeline: PathBuf,

    /// The steps that are wanted, with all that they need [default: all]
    #[arg(value_name = "STEP")]
    pub(crate) steps: Vec<String>,

    /// Set a key of the pipeline, such as `steps.tokens.val_fraction=0.01`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// The folder of results [default: the pipeline's, or `.ratdata/store` beside it]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Look at all bytes of input files, and not at samples of large ones
    #[arg(long)]
    pub(crate) full_hash: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata run tiny
  ratdata run pipeline.toml packed --set steps.packed.seq_len=2048
  ratdata run pipeline.toml --executor slurm";

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ExecutorArg {
    /// Processes of this machine
    Local,
    /// Jobs of a Slurm cluster
    Slurm,
}

pub(crate) fn share(text: &str) -> Result<Share, String> {
    let parsed = text.split_once('/').and_then(|(number, count)| {
        Some(Share { number: number.parse().ok()?, count: count.parse().ok()? })
    });
    parsed
        .filter(|share| share.number < share.count)
        .ok_or_else(|| "expected I/N with I below N, such as 0/8".into())
}

impl PipelineArgs {
    /// Reads the pipeline, opens its store and plans it.
    pub(crate) fn plan(&self) -> Result<(Pipeline, Store, Plan), Failure> {
        let (pipeline, store) = self.read()?;
        let plan = Plan::of(&pipeline, &store, &self.steps, self.full_hash)
            .map_err(|wrong| pipeline_failure(&wrong))?;
        Ok((pipeline, store, plan))
    }

    /// Reads the pipeline and opens its store.
    pub(crate) fn read(&self) -> Result<(Pipeline, Store), Failure> {
        let pipeline =
            Pipeline::read(&self.pipeline, &self.set).map_err(|wrong| pipeline_failure(&wrong))?;
        let store = Store::at(self.store.as_deref().unwrap_or(&pipeline.store));
        Ok((pipeline, store))
    }
}

/// Runs the command.
pub(crate) fn run(ui: &Ui, args: &RunArgs) -> Result<(), Failure> {
    let (pipeline, store, plan) = args.pipeline.plan()?;
    let run = Run::begin(ui, &pipeline, &plan, &store)?;
    let own = pipeline.threads.and_then(NonZeroUsize::new);
    let limits = Limits {
        threads: threads_of(args.num_proc.or(own)),
        memory_gb: pipeline.memory_gb.unwrap_or(f64::INFINITY),
        jobs: args.jobs.map_or(usize::MAX, NonZeroUsize::get),
    };
    let totals =
        run.reporter.watch(|| local::execute(&run, limits, args.shard, interrupt::flag()))?;
    run.end(totals)
}

//! `ratdata run`: a pipeline's stale steps, each as soon as its inputs are there.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use ratdata_tokenize::Share;

use super::tokenize::threads_of;
use crate::dag::error::pipeline_failure;
use crate::dag::file::Pipeline;
use crate::dag::plan::Plan;
use crate::executor::local::{self, Limits};
use crate::executor::run::Run;
use crate::executor::slurm;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::number::{jobs, thread_count};
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
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    num_proc: Option<NonZeroUsize>,

    /// How many steps run at once [default: as many as threads and memory allow]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZeroUsize>,

    /// Who runs the steps
    #[arg(long, value_enum, default_value_t = ExecutorArg::Local)]
    executor: ExecutorArg,

    /// Do share I of N (from 0) of the steps that can be shared, and leave the rest to a run without it
    /// [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N")]
    shard: Option<Share>,
}

/// A pipeline, some of its steps, and its store.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PipelineArgs {
    /// The pipeline: a TOML file, or the name of one that is compiled in, such as `tiny`
    #[arg(value_name = "PIPELINE", default_value = "pipeline.toml")]
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

impl PipelineArgs {
    /// The pipeline at `path`, with nothing set.
    pub(crate) fn at(path: &str, store: Option<PathBuf>) -> Self {
        let (steps, set) = (Vec::new(), Vec::new());
        Self { pipeline: path.into(), steps, set, store, full_hash: false }
    }

    /// Returns whether the user named a pipeline.
    pub(crate) fn is_named(&self) -> bool {
        self.pipeline.as_os_str() != "pipeline.toml"
    }

    /// Reads the pipeline, which has a step at least, opens its store and plans it.
    pub(crate) fn plan(&self) -> Result<(Pipeline, Store, Plan), Failure> {
        let (pipeline, store) = self.read()?;
        if pipeline.steps.is_empty() {
            let message = format!("{}: the pipeline has no step", pipeline.path.display());
            return Err(Failure::message(Kind::Usage, message).hinted(Some(
                "a step is a table such as `[steps.tokens]`, with a `kind`; `ratdata plan tiny` shows an example",
            )));
        }
        self.plan_of(pipeline, store)
    }

    /// Reads the pipeline, opens what has to be a store already, and plans it; with no step nothing
    /// is planned.
    pub(crate) fn plan_in_store(&self) -> Result<(Pipeline, Store, Plan), Failure> {
        let (pipeline, store) = self.read()?;
        check_store(&store)?;
        self.plan_of(pipeline, store)
    }

    fn plan_of(
        &self,
        pipeline: Pipeline,
        store: Store,
    ) -> Result<(Pipeline, Store, Plan), Failure> {
        let plan = Plan::of(&pipeline, &store, &self.steps, self.full_hash)
            .map_err(|wrong| pipeline_failure(&wrong))?;
        Ok((pipeline, store, plan))
    }

    /// Returns the options that another run of the same pipeline is given.
    pub(crate) fn repeated(&self) -> Vec<String> {
        let set = self.set.iter().map(|set| format!("--set={set}"));
        set.chain(self.full_hash.then(|| "--full-hash".to_owned())).collect()
    }

    /// Reads the pipeline and opens its store.
    pub(crate) fn read(&self) -> Result<(Pipeline, Store), Failure> {
        let ours = super::Command::augment_subcommands(clap::Command::new("ratdata"));
        let pipeline = Pipeline::read(&self.pipeline, &self.set, ours)
            .map_err(|wrong| pipeline_failure(&wrong))?;
        let store = Store::at(self.store.as_deref().unwrap_or(&pipeline.store));
        Ok((pipeline, store))
    }
}

/// Refuses a folder of other things, where a store is to be looked at or cleared.
pub(super) fn check_store(store: &Store) -> Result<(), Failure> {
    let root = store.root().display();
    let (kind, message) = match store.is_one() {
        Ok(true) => return Ok(()),
        Ok(false) => {
            (Kind::Usage, format!("{root}: not a store: no run has left its records here"))
        }
        Err(wrong) => (Kind::Failed, format!("{root}: cannot read the store: {wrong}")),
    };
    Err(Failure::message(kind, message).hinted(Some(
        "`--store` names the folder of a pipeline's results, by default `.ratdata/store` beside it",
    )))
}

/// Runs the command.
pub(crate) fn run(ui: &Ui, args: &RunArgs) -> Result<(), Failure> {
    if args.executor == ExecutorArg::Slurm && args.shard.is_some() {
        let message =
            "`--shard` is what a cluster's tasks are given, so `--executor slurm` takes none";
        return Err(Failure::message(Kind::Usage, message)
            .hinted(Some("`executor.slurm.array` in the pipeline says how many tasks there are")));
    }
    let (pipeline, store, plan) = args.pipeline.plan()?;
    let run = Run::begin(ui, &pipeline, &plan, &store)?;
    if args.executor == ExecutorArg::Slurm {
        let totals = slurm::submit(&run, &args.pipeline.repeated())?;
        return run.end(totals);
    }
    let jobs = args.jobs.map_or(usize::MAX, NonZeroUsize::get);
    let limits = Limits { jobs, ..limits(&pipeline, args.num_proc) };
    let totals =
        run.reporter.watch(|| local::execute(&run, limits, args.shard, interrupt::flag()))?;
    run.end(totals)
}

/// Has a plan's stale steps carried out on this machine, with all that it has.
pub(crate) fn carry_out(
    ui: &Ui,
    pipeline: &Pipeline,
    store: &Store,
    plan: &Plan,
) -> Result<(), Failure> {
    let run = Run::begin(ui, pipeline, plan, store)?;
    let limits = limits(pipeline, None);
    let totals = run.reporter.watch(|| local::execute(&run, limits, None, interrupt::flag()))?;
    run.end(totals)
}

fn limits(pipeline: &Pipeline, threads: Option<NonZeroUsize>) -> Limits {
    Limits {
        threads: threads_of(threads.or(pipeline.threads)),
        memory_gb: pipeline.memory_gb.unwrap_or(f64::INFINITY),
        jobs: usize::MAX,
    }
}

//! `ratdata run`: a pipeline's stale steps, each as soon as its inputs are there.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use ratdata_tokenize::Share;

use crate::arguments::{PipelineArgs, Program};
use crate::executor::local::{self, Limits};
use crate::executor::ray::{self, Cluster};
use crate::executor::run::Run;
use crate::executor::{kubernetes, slurm};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::number::{jobs, thread_count};
use crate::ui::Ui;

/// Run a pipeline: make stale steps and leave fresh ones alone
///
/// A step is one of this program's commands with its options as keys, or a program of your own. The
/// name of a result comes from everything that decides its bytes. So a changed value makes only the
/// steps that depend on it again. After a stop, the same command continues.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The number of threads of all steps together [default: the pipeline's, or all processors]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    num_proc: Option<NonZeroUsize>,

    /// How many steps run at once [default: as many as threads and memory allow]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZeroUsize>,

    /// Where the steps run
    #[arg(long, value_enum, default_value_t = ExecutorArg::Local)]
    executor: ExecutorArg,

    /// Where Ray's job API is, for `--executor ray` [default: `RAY_API_SERVER_ADDRESS`, `RAY_ADDRESS`, the
    /// pipeline's `executor.ray.address`, or `http://127.0.0.1:8265`]
    #[arg(long, value_name = "URL")]
    ray_address: Option<String>,

    /// Make share I of N (from 0) of each step that can be shared; a run without this option makes
    /// the rest [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N")]
    shard: Option<Share>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata run tiny
  ratdata run pipeline.toml packed --set steps.packed.seq_len=2048
  ratdata run pipeline.toml --executor slurm
  ratdata run pipeline.toml --executor kubernetes
  ratdata run pipeline.toml --executor ray --ray-address http://head:8265";

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ExecutorArg {
    /// Processes of this machine
    Local,
    /// Jobs of a Slurm cluster
    Slurm,
    /// Jobs of Kubernetes, written as YAML with a script that applies them
    Kubernetes,
    /// Jobs of a Ray cluster, submitted and waited for
    Ray,
}

/// Runs the command.
pub(crate) fn run(ui: &Ui, args: &RunArgs, program: Program) -> Result<(), Failure> {
    let cluster = match args.executor {
        ExecutorArg::Local => None,
        ExecutorArg::Slurm => Some("slurm"),
        ExecutorArg::Kubernetes => Some("kubernetes"),
        ExecutorArg::Ray => Some("ray"),
    };
    if let (Some(name), Some(_)) = (cluster, args.shard) {
        let message = format!(
            "`--shard` is what a cluster's tasks are given, so `--executor {name}` takes none"
        );
        return Err(Failure::message(Kind::Usage, message).hinted(Some(format!(
            "`executor.{name}.array` in the pipeline says how many tasks there are"
        ))));
    }
    if args.ray_address.is_some() && args.executor != ExecutorArg::Ray {
        return Err(Failure::message(Kind::Usage, "`--ray-address` is for `--executor ray`"));
    }
    let (pipeline, store, plan) = args.pipeline.plan(ui, program)?;
    let run = Run::begin(ui, &pipeline, &plan, &store)?;
    if args.executor == ExecutorArg::Slurm {
        let totals = slurm::submit(&run, &args.pipeline.repeated())?;
        return run.end(totals);
    }
    if args.executor == ExecutorArg::Kubernetes {
        let (totals, written) = kubernetes::write(&run, &args.pipeline.repeated())?;
        ui.emit(&written)?;
        return run.end(totals);
    }
    if args.executor == ExecutorArg::Ray {
        let setting = pipeline.ray.address.as_deref();
        let cluster = Cluster::find(args.ray_address.as_deref(), setting)?;
        let (words, stop) = (args.pipeline.repeated(), interrupt::flag());
        let totals = run.reporter.watch(|| ray::execute(&run, &cluster, &words, stop))?;
        return run.end(totals);
    }
    let jobs = args.jobs.map_or(usize::MAX, NonZeroUsize::get);
    let limits = Limits { jobs, ..Limits::of(&pipeline, args.num_proc) };
    let totals =
        run.reporter.watch(|| local::execute(&run, limits, args.shard, interrupt::flag()))?;
    run.end(totals)
}

//! `ratdata eval`: a trained model on the tasks of a benchmark, from prompts to a table of scores.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::score::{Scored, scores_of, write_scores};
use crate::arguments::DecodingArgs;
use crate::failure::{Failure, Kind};
use crate::generation::{RUN_HINT, Settings, Target, check_run, predict, tokenizer_of};
use crate::harness::{HarnessOptions, evaluate};
use crate::longbench::{FILES_HINT, LongBenchTask, prompts_of};
use crate::number::jobs;
use crate::ui::Ui;

/// Programs that ask a served model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Harness {
    /// lm-evaluation-harness of `EleutherAI`.
    LmEval,
}

/// Score a trained model on the tasks of LongBench or of lm-evaluation-harness
///
/// RUN is the folder of a training run or of one of its checkpoints. `--longbench DIR` reads LongBench's
/// files, one a task. It makes prompts of the rows, answers them, and writes the predictions of each task
/// and `scores.json` into a folder; a job that was stopped resumes. `--harness lm-eval` serves the model on
/// a free port of this machine, runs the `lm_eval` of a Python against it, and files what it found;
/// RULER's tasks are `niah_single_1` and the like with `--ruler-lengths`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalArgs {
    /// The folder of a training run, or of one of its checkpoints
    #[arg(value_name = "DIR")]
    run: PathBuf,

    /// The folder with LongBench's files, such as `trec.jsonl`
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "harness",
        conflicts_with = "harness"
    )]
    longbench: Option<PathBuf>,

    /// The program that asks the model, in place of LongBench's files
    #[arg(long, value_name = "NAME", value_enum, requires = "tasks")]
    harness: Option<Harness>,

    /// The tasks, with commas [default: LongBench's fourteen of the paper]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tasks: Vec<String>,

    /// The virtual environment that has `lm_eval`, or its Python [default: python3]
    #[arg(long, value_name = "VENV", requires = "harness")]
    python: Option<PathBuf>,

    /// A folder with tasks of your own for the harness
    #[arg(long, value_name = "DIR", requires = "harness")]
    include: Option<PathBuf>,

    /// How many tokens RULER's prompts have, with commas
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_delimiter = ',', requires = "harness", value_parser = jobs)]
    ruler_lengths: Vec<NonZeroUsize>,

    /// How many rows of each task are taken, from the first on [default: all]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    limit: Option<NonZeroUsize>,

    /// How many tokens a prompt and its answer have at most [default: as in training]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    context: Option<NonZeroUsize>,

    #[command(flatten)]
    decoding: DecodingArgs,

    /// The tokenizer [default: found by the manifest of the run's data]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,

    /// The folder of the result [default: `eval` in the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Replace predictions that are there already
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata eval runs/fineweb_edu/rat-xl --longbench LongBench/data
  ratdata eval runs/tiny-rat --longbench LongBench/data --tasks trec,lcc --limit 20
  ratdata eval runs/tiny-rat --harness lm-eval --tasks piqa,arc_easy --python venv";

/// Runs the command.
pub(crate) fn eval(ui: &Ui, args: &EvalArgs) -> Result<(), Failure> {
    check_run(&args.run)?;
    // The most likely token is taken, as the RAT reference does.
    let DecodingArgs { batch, device, grow } = &args.decoding;
    let settings = Settings::greedy(&args.run, batch.get(), device, *grow);
    let context = match args.context {
        Some(context) => context.get(),
        None => settings.seq_len().ok_or_else(|| {
            let message =
                format!("{}: does not say how long its sequences are", args.run.display());
            Failure::message(Kind::Usage, message).hinted(Some(RUN_HINT))
        })?,
    };
    let out = args.out.clone().unwrap_or_else(|| args.run.join("eval"));
    if let Some(folder) = &args.longbench {
        return longbench(ui, args, &settings, folder, context, &out);
    }
    let tokenizer = tokenizer_of(ui, &args.run, args.tokenizer.as_deref(), None)?;
    let lengths: Vec<usize> = args.ruler_lengths.iter().map(|len| len.get()).collect();
    let options = HarnessOptions {
        python: args.python.as_deref().unwrap_or(Path::new("python3")),
        tasks: &args.tasks,
        include: args.include.as_deref(),
        ruler_lengths: &lengths,
        limit: args.limit.map(NonZeroUsize::get),
        context,
        batch: batch.get(),
        serve: args.serve_words(context),
    };
    ui.emit(&evaluate(ui, &options, &tokenizer, &out)?)
}

/// Answers LongBench's rows and scores the answers.
fn longbench(
    ui: &Ui,
    args: &EvalArgs,
    settings: &Settings,
    folder: &Path,
    context: usize,
    out: &Path,
) -> Result<(), Failure> {
    let tasks = tasks(&args.tasks)?;
    for task in &tasks {
        exists(&task.path(folder))?;
    }
    let tokenizer = tokenizer_of(ui, &args.run, args.tokenizer.as_deref(), None)?;
    let limit = args.limit.map(NonZeroUsize::get);
    let mut scored = Vec::new();
    for task in tasks {
        let set = prompts_of(task, folder, &tokenizer, context, limit)?;
        ui.note(&format!("{task}: {} rows", set.prompts.len()));
        let folder = out.join(task.name());
        let target = Target { out: &folder, name: task.name(), force: args.force };
        let predictions = predict(ui, settings, &set, &tokenizer, target)?;
        scored.push(scores_of(&predictions, &[], task.score())?);
    }
    let scored = Scored(scored);
    write_scores(&scored, out)?;
    ui.emit(&scored)
}

impl EvalArgs {
    /// The words of `ratdata serve`.
    fn serve_words(&self, context: usize) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.run.clone().into()];
        words.extend(["--device".into(), self.decoding.device.clone().into()]);
        words.extend(["--batch".into(), self.decoding.batch.to_string().into()]);
        if let Some(tokenizer) = &self.tokenizer {
            words.extend(["--tokenizer".into(), tokenizer.into()]);
        }
        if self.decoding.grow {
            words.extend(["--max-length".into(), context.to_string().into()]);
        }
        words
    }
}

/// Returns the tasks that were named, or all.
fn tasks(names: &[String]) -> Result<Vec<LongBenchTask>, Failure> {
    if names.is_empty() {
        return Ok(LongBenchTask::all());
    }
    let task =
        |name: &String| name.parse().map_err(|why: String| Failure::message(Kind::Usage, why));
    names.iter().map(task).collect()
}

/// Fails before any work where a task's file is not there.
fn exists(path: &Path) -> Result<(), Failure> {
    if path.is_file() {
        return Ok(());
    }
    let message = format!("{}: the task's file is not there", path.display());
    Err(Failure::message(Kind::Usage, message).hinted(Some(FILES_HINT)))
}

//! `ratdata sft`: instruction data in, rows with labels out.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use ratdata_console::{grouped, sized};
use ratdata_schemas::recipe::{Algorithm, Chat, Form, LossOn, LossWithout, Task, Truncate};
use ratdata_schemas::{Manifest, SplitRecord};
use ratdata_tokenize::Share;
use ratdata_tokenize::hub::{HubError, fetch_tokenizer_config};
use ratdata_tokenize::pack::{PackJob, check_config};
use ratdata_tokenize::sft::{CHAT_FAMILIES, MOST_ROW, SftError, SftJob, SftProgress, chat_family};
use ratdata_tokenize::tokenizer::{SlowPaths, SpecialInText};
use serde::Serialize;

use crate::arguments::{PackingArgs, tokenizer};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::{hub_failure, pack_failure};
use crate::number::{thread_count, threads_of};
use crate::progress::{FetchBars, RowProgress};
use crate::summary::{PackSummary, PreferenceSummary, SftEstimateSummary};
use crate::ui::Ui;

/// Turn instruction data into rows with loss masks
///
/// Prompts with answers, or conversations, become rows of one length with shifted labels. The
/// default is the reference's int16 pairs of inputs and labels; `--packing` gives packed rows with
/// a loss mask. Each distinct story is encoded once, even if many questions share it.
///
/// Preference pairs become two splits, such as `train-chosen` and `train-rejected`: document i of one
/// belongs to document i of the other, and both begin with the same prompt.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SftArgs {
    /// A task by name: `narrativeqa_summary`, `narrativeqa_text`, `narrativeqa_full`, `qmsum` or `wikisum`; or
    /// `preference` for files with the columns `prompt`, `chosen` and `rejected`
    #[arg(long, value_name = "NAME", required_unless_present = "task_file")]
    task: Option<String>,

    /// A task of your own, as TOML
    #[arg(long, value_name = "FILE", conflicts_with = "task")]
    task_file: Option<PathBuf>,

    /// A folder that holds the task's files, such as `narrativeqa/train.parquet`, or the file of one split
    /// [default: the hub]
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,

    /// The folder that becomes the artifact [default: data/sft/TASK-LENGTH]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// The splits to make [default: all of the task]
    #[arg(long, value_name = "SPLIT", value_delimiter = ',')]
    split: Vec<String>,

    /// The number of tokens of a row
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=i64::from(MOST_ROW)))]
    max_length: u32,

    /// How to shorten an example that is longer than a row [default: the task's, which is middle]
    #[arg(long, value_enum)]
    truncate: Option<Truncate>,

    /// The chat template of a family [default: the task's, or the tokenizer's own]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CHAT_FAMILIES.map(|family| family.name)))]
    chat_template: Option<String>,

    /// Whose turns of a conversation are trained on: `all` of the assistant, its `last`, or the turns of
    /// roles, such as `assistant,tool` [default: the task's, which is all]
    #[arg(long, value_name = "last|all|ROLE,…")]
    loss_on: Option<LossOn>,

    /// The parts of these turns that are not trained on [default: the task's]
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    loss_without: Vec<LossWithout>,

    /// The tokenizer: an alias, a hub id, a `tokenizer.json`, a SentencePiece `.model`, a `.tiktoken` file, a
    /// `tekken.json`, or a folder
    #[arg(long, default_value = "llama", value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: String,

    /// The number of threads [default: all processors]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    num_proc: Option<NonZeroUsize>,

    /// How to treat rows that cannot be used
    #[arg(long, value_enum, default_value_t = OnUnusableRow::Fail)]
    on_bad_row: OnUnusableRow,

    /// How examples share rows
    #[arg(long, value_enum, default_value_t = SftPacking::None)]
    packing: SftPacking,

    #[command(flatten)]
    pack: PackingArgs,

    /// Predict rows, tokens, bytes and time from a sample, and write nothing
    #[arg(long)]
    estimate: bool,

    /// Encode share I of N (from 0) of the rows; a run without this option writes the artifact
    /// [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N", conflicts_with = "force")]
    shard: Option<Share>,

    /// Replace the files of another job in the folder
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata sft --task narrativeqa_summary --split train,validation
  ratdata sft --task-file my_task.toml --packing best-fit --out data/my-task
  ratdata sft --task preference --input pairs.jsonl --chat-template qwen2.5 --tokenizer Qwen/Qwen2.5-0.5B";

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum OnUnusableRow {
    /// Fail at the first one
    Fail,
    /// Leave them out and count them
    Skip,
}

/// How examples share rows.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum SftPacking {
    /// One example a row, padded: pairs of inputs and labels
    None,
    /// One after the other, cut where a row is full
    Concat,
    /// Whole, each into the fullest row with room
    BestFit,
}

impl SftPacking {
    /// Returns how examples are packed, if they are.
    fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::None => None,
            Self::Concat => Some(Algorithm::Concat),
            Self::BestFit => Some(Algorithm::BestFit),
        }
    }
}

/// Runs the command.
pub(crate) fn sft(ui: &Ui, args: &SftArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let packing = args.packing.algorithm();
    let packed = packing.is_some();
    check_packing(args)?;
    let (name, mut task) = named_task(args)?;
    choose_loss(args, &mut task)?;
    let is_preference = task.preference.is_some();
    if is_preference && packed {
        let message = "`--packing` puts several examples into a row, and the two of a preference pair are documents with one number in two splits";
        return Err(Failure::message(Kind::Usage, message).hinted(Some("leave `--packing` out")));
    }
    let bars = FetchBars::new(ui);
    let found = tokenizer::resolve(&args.tokenizer, &bars)?;
    fetch_template(args, &task, &bars)?;
    let tokenizer = tokenizer::load(&found)?;
    tokenizer::tell_oracle(ui, &tokenizer, SpecialInText::Parse);
    tokenizer::tell_notes(ui, &tokenizer);
    let out =
        args.out.clone().unwrap_or_else(|| format!("data/sft/{name}-{}", args.max_length).into());
    let job = SftJob {
        splits: splits(args, &task, packed),
        truncate: args.truncate.unwrap_or(task.truncate),
        task,
        input: args.input.clone(),
        max_length: args.max_length,
        form: if packed || is_preference { Form::Documents } else { Form::Pairs },
        skip_bad: args.on_bad_row == OnUnusableRow::Skip,
        threads: threads_of(args.num_proc),
        out: if packed { out.join("tokens") } else { out.clone() },
        force: args.force,
        share: args.shard,
    };
    if args.estimate {
        interrupt::end_promptly(ui, sft_failure(&SftError::Interrupted));
        let estimate = job.estimate(&tokenizer, &bars, interrupt::flag());
        return ui.emit(&SftEstimateSummary(estimate.map_err(|wrong| sft_failure(&wrong))?));
    }
    let progress = SftProgress::default();
    interrupt::end_promptly(ui, sft_failure(&SftError::Interrupted));
    let outcome = RowProgress::new(ui, &progress)
        .watch(|| job.run(&tokenizer, &found.name, &bars, &progress, interrupt::flag()))
        .map_err(|wrong| sft_failure(&wrong))?;
    tell(ui, &progress);
    if let Some(share) = args.shard {
        ui.note(&format!("share {share} is done; run without `--shard` to make the artifact"));
        return Ok(());
    }
    if !outcome.made {
        ui.note(&format!("{}: already done", job.out.display()));
    }
    let Some(packing) = packing else {
        let seconds = begun.elapsed().as_secs_f64();
        if is_preference {
            let slow_paths = tokenizer.slow_paths();
            let summary = PreferenceSummary::of(&out, &outcome.manifest, seconds, slow_paths);
            return ui.emit(&summary);
        }
        return ui.emit(&SftReport::of(&out, &outcome.manifest, seconds, tokenizer.slow_paths()));
    };
    let pack = PackJob {
        input: job.out.clone(),
        out: out.clone(),
        split: None,
        config: args.pack.config(args.max_length, packing),
        materialize: args.pack.materialize,
        force: args.force || outcome.made,
    };
    let packed = pack.run(interrupt::flag()).map_err(|wrong| pack_failure(&wrong))?;
    ui.emit(&PackSummary::of(&out, &packed.manifest).with_slow_paths(tokenizer.slow_paths()))
}

/// Returns the task that is asked for, and what it is called.
fn named_task(args: &SftArgs) -> Result<(String, Task), Failure> {
    let (name, task) = match (&args.task, &args.task_file) {
        (Some(name), _) => (name.clone(), Task::named(name)),
        (None, Some(file)) => {
            let stem = file.file_stem().and_then(std::ffi::OsStr::to_str);
            if stem.is_none() && args.out.is_none() {
                let message = format!(
                    "{}: the name is not UTF-8, and the folder would have it",
                    file.display()
                );
                let hint = "say where the rows go with `--out`";
                return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
            }
            (stem.unwrap_or_default().to_owned(), Task::read(file))
        }
        (None, None) => {
            return Err(Failure::message(Kind::Usage, "neither a task nor a task file"));
        }
    };
    Ok((name, task.map_err(|wrong| sft_failure(&wrong.into()))?))
}

/// Fetches the chat template of the tokenizer, where the task may use it.
fn fetch_template(args: &SftArgs, task: &Task, bars: &FetchBars<'_>) -> Result<(), Failure> {
    let has_own = task.chat.as_ref().map(|chat| chat.template.is_some());
    if has_own.map_or(task.preference.is_none(), |has_own| has_own) {
        return Ok(());
    }
    match fetch_tokenizer_config(&args.tokenizer, bars) {
        // The pairs may be texts, which need no template.
        Err(HubError::NotFound { .. }) if task.chat.is_none() => Ok(()),
        fetched => fetched.map_err(|wrong| hub_failure(&wrong)),
    }
}

/// Lets the options say what of a conversation is trained on.
fn choose_loss(args: &SftArgs, task: &mut Task) -> Result<(), Failure> {
    let given = [
        ("--chat-template", args.chat_template.is_some()),
        ("--loss-on", args.loss_on.is_some()),
        ("--loss-without", !args.loss_without.is_empty()),
    ];
    // The values of preference pairs say whether they are texts or conversations.
    if task.preference.is_some() && given.iter().any(|(_, given)| *given) {
        task.chat.get_or_insert_with(Chat::default);
    }
    let Some(chat) = &mut task.chat else {
        return given.iter().find(|(_, given)| *given).map_or(Ok(()), |(option, _)| {
            let message = format!("`{option}` is about conversations, and the task has prompts");
            Err(Failure::message(Kind::Usage, message))
        });
    };
    if let Some(template) = args.chat_template.as_deref().and_then(chat_family) {
        chat.template = Some(template.to_owned());
    }
    if let Some(on) = &args.loss_on {
        chat.loss_on = Some(on.clone());
    }
    if !args.loss_without.is_empty() {
        chat.loss_without.clone_from(&args.loss_without);
    }
    Ok(())
}

/// Checks the options of packing before anything is read: they mean nothing where rows are pairs.
fn check_packing(args: &SftArgs) -> Result<(), Failure> {
    if let Some(packing) = args.packing.algorithm() {
        let config = args.pack.config(args.max_length, packing);
        return check_config(config).map_err(|wrong| pack_failure(&wrong));
    }
    args.pack.given().map_or(Ok(()), |option| {
        let message = format!(
            "`{option}` says how examples share rows, and without `--packing` each has a row of its own"
        );
        let hint = "add `--packing best-fit` or `--packing concat`, or leave the option out";
        Err(Failure::message(Kind::Usage, message).hinted(Some(hint)))
    })
}

/// Returns the parts to make: those asked for, or all that can be.
fn splits(args: &SftArgs, task: &Task, packed: bool) -> Vec<String> {
    if !args.split.is_empty() {
        return args.split.clone();
    }
    // A row to be scored has nothing to learn, so it is not packed.
    let wanted = task.splits.iter().filter(|(_, split)| !packed || split.references.is_none());
    wanted.map(|(name, _)| name.to_string()).collect()
}

/// Tells what was left out, and what cannot be learnt from.
fn tell(ui: &Ui, progress: &SftProgress) {
    use std::sync::atomic::Ordering::Relaxed;
    let bad = progress.bad_rows.load(Relaxed);
    if bad > 0 {
        let first = progress.first_bad.lock().map(|first| first.join("\n  ")).unwrap_or_default();
        ui.warn(&format!("{} rows left out; the first:\n  {first}", grouped(bad)));
    }
    let untrained = progress.untrained.load(Relaxed);
    if untrained > 0 {
        ui.warn(&format!(
            "{} examples have no token to learn: their prompt fills the row",
            grouped(untrained)
        ));
    }
    let unstopped = progress.unstopped.load(Relaxed);
    if unstopped > 0 {
        ui.warn(&format!(
            "{} conversations have an answer behind which no stop token is trained on: the template writes nothing there that belongs to the turn, so a model will not learn where to stop; write EOS behind an answer in `chat.template`, or mark what ends a turn with `{{% generation %}}`",
            grouped(unstopped)
        ));
    }
    let unread = progress.unread_flags.lock().map(|unread| unread.clone()).unwrap_or_default();
    if !unread.is_empty() {
        let keys: Vec<String> = unread.iter().map(|key| format!("`{key}`")).collect();
        ui.warn(&format!(
            "messages have {}, which is not read; the flags of a message are `weight` (0 or 1) and `train` (true or false)",
            keys.join(", ")
        ));
    }
    let left_out = progress.left_out.lock().map(|left_out| left_out.clone()).unwrap_or_default();
    for (split, name) in &left_out {
        ui.warn(&format!(
            "`{split}` does not read {name}, whose name says another split; to read it, name the file itself as the split's `source`"
        ));
    }
    let dropped = progress.dropped.load(Relaxed);
    if dropped > 0 {
        ui.warn(&format!("{} examples left out for their length", grouped(dropped)));
    }
}

fn sft_failure(wrong: &SftError) -> Failure {
    let kind = match wrong {
        SftError::Interrupted | SftError::Hub(HubError::Interrupted) => Kind::Interrupted,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

#[derive(Debug, Serialize)]
struct SftReport {
    out: PathBuf,
    tokenizer: String,
    splits: Vec<PairsReport>,
    seconds: f64,
    slow_paths: SlowPaths,
}

#[derive(Debug, Serialize)]
struct PairsReport {
    name: String,
    rows: u64,
    row_len: u32,
    bytes: u64,
    inputs: PathBuf,
}

impl SftReport {
    fn of(out: &Path, manifest: &Manifest, seconds: f64, slow_paths: SlowPaths) -> Self {
        let splits = manifest.splits.iter().filter_map(|(name, split)| match split {
            SplitRecord::Pairs(pairs) => Some(PairsReport {
                name: name.to_string(),
                rows: pairs.rows,
                row_len: pairs.row_len,
                bytes: split.files().iter().map(|file| file.bytes).sum(),
                inputs: pairs.inputs.place(out),
            }),
            _ => None,
        });
        Self {
            out: out.to_owned(),
            tokenizer: manifest.tokenizer.name.clone(),
            splits: splits.collect(),
            seconds,
            slow_paths,
        }
    }
}

impl fmt::Display for SftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8} {:>10} {:>8} {:>12}  inputs", "split", "rows", "length", "on disk")?;
        for split in &self.splits {
            writeln!(
                f,
                "{:<8} {:>10} {:>8} {:>12}  {}",
                split.name,
                grouped(split.rows),
                split.row_len,
                sized(split.bytes),
                split.inputs.display()
            )?;
        }
        write!(f, "{:.2} s\n{}", self.seconds, self.out.display())
    }
}

//! `ratdata tokenize`: text in, token bins out.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Instant;

use ratdata_console::grouped;
use ratdata_schemas::recipe::{Fim, FimTokens};
use ratdata_schemas::{Manifest, PlainName, SplitRecord};
use ratdata_tokenize::Share;
use ratdata_tokenize::corpus::{
    self, DtypeChoice, Edge, FimPlan, Job, JobError, OnBadRow, Order, Outcome, Progress,
    RowCounter, SpecialInText, Tokenize, count_documents, fim_tokens,
};
use ratdata_tokenize::hub::{resolve_sample, resolve_splits, resolve_until};
use ratdata_tokenize::source::{SourceFile, SplitFiles};
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::arguments::{Inputs, tell_left_out, tokenizer};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::hub_failure;
use crate::number::{count, thread_count, threads_of, whole};
use crate::progress::{FetchBars, JobProgress};
use crate::summary::{BinsSummary, EstimateSummary};
use crate::ui::Ui;

/// Turn text into memory-mapped token bins
///
/// Reads parquet, JSON lines or plain text, encodes every document, splits each file into train and
/// val as the reference does, and writes headerless bins with a document index and a manifest. The
/// same inputs and options give the same bytes for any `--num-proc`. After a stop, the same command
/// continues.
///
/// A folder or a data set of the hub is read as training data. Files and folders named
/// `validation`, `valid`, `val`, `dev`, `eval`, `test` or `testing` are left out, with a message.
/// Cards, licences, hidden files and the notes of programs are not data. `docs/inputs.md` has the
/// rules.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenizeArgs {
    /// The tokenizer: an alias, a hub id, a `tokenizer.json`, a SentencePiece `.model`, a `.tiktoken` file, a
    /// `tekken.json`, or a folder
    #[arg(long, default_value = "llama", value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: String,

    /// Files, folders, patterns, `s3://`, `gs://`, `az://` or `https://` addresses, `-` for standard input, or
    /// `hf://datasets/OWNER/NAME[@REV]/PATH` [default: FineWeb-Edu `sample-100BT`]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,

    /// Which files of a folder or data set are read, by the split in their names; a file that you
    /// name yourself, or by a pattern, is always read
    #[arg(long, value_enum, default_value_t = SplitFiles::Train)]
    split_files: SplitFiles,

    /// The folder that becomes the artifact, or a prefix such as `s3://BUCKET/tokens`
    #[arg(long, default_value = "data/tokens", value_name = "DIR")]
    out: PathBuf,

    /// The number of threads [default: all processors]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = thread_count)]
    num_proc: Option<NonZeroUsize>,

    /// The prefix of file names [default: the tokenizer's name]
    #[arg(long, value_name = "NAME")]
    name: Option<PlainName>,

    /// The column or JSON field that holds the text, with dots where it is nested
    #[arg(long, default_value = "text", value_name = "COLUMN")]
    text_column: String,

    /// The share of each file's documents that goes to `val`
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.005, value_name = "SHARE", value_parser = share)]
    val_fraction: f64,

    /// The seed of the split's permutation
    #[arg(long, allow_negative_numbers = true, default_value_t = 1005, value_name = "SEED", value_parser = whole)]
    split_seed: u64,

    /// The order of documents within a shard
    #[arg(long, value_enum, default_value_t = Order::Reference)]
    order: Order,

    /// Join the shards of each split into one file
    #[arg(long)]
    merge: bool,

    /// Put the end-of-text id after each document: `on`, `off`, or the token to put there
    /// [`on` takes the one that the tokenizer's files name]
    #[arg(long, value_name = "on|off|TOKEN", default_value = "on", value_parser = edge)]
    eos: Edge,

    /// Put the begin-of-text id before each document: `on`, `off`, or the token to put there
    #[arg(long, value_name = "on|off|TOKEN", default_value = "off", value_parser = edge)]
    bos: Edge,

    /// How to read special tokens in the text
    #[arg(long, value_enum, default_value_t = SpecialInText::Parse)]
    special_in_text: SpecialInText,

    /// The width of ids
    #[arg(long, value_enum, default_value_t = DtypeChoice::Auto)]
    dtype: DtypeChoice,

    /// Take at most N documents, in the order of the input
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = count)]
    limit_docs: Option<NonZeroU64>,

    /// How to treat rows without text
    #[arg(long, value_enum, default_value_t = OnBadRow::Fail)]
    on_bad_row: OnBadRow,

    /// The share of documents that are parted to fill in the middle: prefix, suffix, then middle (PSM), or
    /// suffix, prefix, then middle (SPM), for models of code
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", value_parser = share)]
    fim_rate: Option<f64>,

    /// The share of these documents that are in the form SPM
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.5, value_name = "SHARE", value_parser = share, requires = "fim_rate")]
    fim_spm_rate: f64,

    /// The seed of the choice, and of the places where documents are parted
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SEED", value_parser = whole, requires = "fim_rate")]
    fim_seed: u64,

    /// The tokens before the three parts, such as `<fim_prefix>,<fim_middle>,<fim_suffix>`
    /// [default: the vocabulary's own]
    #[arg(long, value_name = "PREFIX,MIDDLE,SUFFIX", requires = "fim_rate")]
    fim_tokens: Option<FimTokens>,

    /// Predict tokens, bytes and time from a sample, and write nothing
    #[arg(long)]
    estimate: bool,

    /// Encode the input files of share I of N (from 0); a run without this option writes the
    /// artifact [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N", conflicts_with = "limit_docs")]
    shard: Option<Share>,

    /// Replace the files of another job in the folder
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata tokenize
  ratdata tokenize --tokenizer gpt2 --input corpus/*.parquet --out data/tokens
  ratdata tokenize --input notes.jsonl.gz --text-column body --val-fraction 0.01 --estimate
  ratdata tokenize --input 's3://corpora/web/*.parquet' --out s3://corpora/tokens
  zcat notes.jsonl.gz | ratdata tokenize --input - --out data/notes";

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(share) => Err(format!("found {share}, expected a share from 0 to 1")),
        Err(_) => Err("expected a number from 0 to 1".into()),
    }
}

fn edge(text: &str) -> Result<Edge, String> {
    match text {
        "" => Err("expected `on`, `off` or a token of the vocabulary".into()),
        "on" => Ok(Edge::Switch(true)),
        "off" => Ok(Edge::Switch(false)),
        token => Ok(Edge::Token(token.to_owned())),
    }
}

impl TokenizeArgs {
    fn config(&self, name: PlainName, tokenizer: &Tokenizer) -> Result<Tokenize, JobError> {
        Ok(Tokenize {
            name,
            text_column: self.text_column.clone(),
            val_fraction: self.val_fraction,
            split_seed: self.split_seed,
            order: self.order,
            merge: self.merge,
            eos: self.eos.clone(),
            bos: self.bos.clone(),
            special_in_text: self.special_in_text,
            dtype: self.dtype,
            limit_docs: self.limit_docs.map(NonZeroU64::get),
            on_bad_row: self.on_bad_row,
            split_files: self.split_files,
            fim: self.fim(tokenizer)?,
        })
    }

    /// Returns how documents are parted to fill in the middle, if any are.
    fn fim(&self, tokenizer: &Tokenizer) -> Result<Option<Fim>, JobError> {
        let Some(rate) = self.fim_rate.filter(|&rate| rate > 0.0) else { return Ok(None) };
        let tokens = match &self.fim_tokens {
            Some(tokens) => tokens.clone(),
            None => fim_tokens(tokenizer)?,
        };
        let (spm_rate, seed) = (self.fim_spm_rate, self.fim_seed);
        Ok(Some(Fim { rate, spm_rate, seed, tokens }))
    }
}

/// Runs the command.
pub(crate) fn tokenize(ui: &Ui, args: &TokenizeArgs) -> Result<(), Failure> {
    interrupt::end_promptly(ui, job_failure(&JobError::Interrupted));
    let bars = FetchBars::new(ui);
    let found = tokenizer::resolve(&args.tokenizer, &bars)?;
    let called = &found.name;
    let tokenizer = tokenizer::load(&found)?;
    tokenizer::tell_oracle(ui, &tokenizer, args.special_in_text);
    tokenizer::tell_notes(ui, &tokenizer);
    tell_eos(ui, args, &tokenizer);
    let name = args.name.clone().unwrap_or_else(|| PlainName::near(called));
    let config = args.config(name, &tokenizer).map_err(|wrong| job_failure(&wrong))?;
    let fim = FimPlan::of(&config, &tokenizer).map_err(|wrong| job_failure(&wrong))?;
    if let Some(fim) = &config.fim {
        let FimTokens { prefix, middle, suffix } = &fim.tokens;
        ui.note(&format!("documents are parted with `{prefix}`, `{suffix}` and `{middle}`"));
    }
    let threads = threads_of(args.num_proc);
    let take = config.split_files;
    let input = Inputs::take(ui, &args.input)?;
    if args.estimate {
        let found =
            resolve_sample(&input.named, take, &bars).map_err(|wrong| hub_failure(&wrong))?;
        tell_left_out(ui, &found.left);
        let estimate =
            corpus::estimate(&config, &tokenizer, &found.files, threads, interrupt::flag())
                .map_err(|wrong| job_failure(&wrong))?;
        return ui.emit(&EstimateSummary(estimate));
    }
    let inputs = match config.limit_docs {
        None => resolve_splits(&input.named, take, &bars),
        Some(limit) => {
            let with = (&tokenizer, fim.as_ref());
            let count = |file: &SourceFile, most| count_documents(&config, with, file, most);
            resolve_until(&input.named, take, limit, &count, &bars)
        }
    };
    let inputs = inputs.map_err(|wrong| hub_failure(&wrong))?;
    tell_left_out(ui, &inputs.left);
    let begun = Instant::now();
    let stop = interrupt::flag();
    let files = inputs.files;
    let outcome =
        Job::open_unless(config, tokenizer.clone(), called, files, &args.out, args.force, stop)
            .map_err(|wrong| job_failure(&wrong))?;
    let job = match outcome {
        Outcome::Done(manifest) => {
            ui.note(&format!("{}: already done", args.out.display()));
            return ui.emit(&BinsSummary::of(&args.out, &manifest, None));
        }
        Outcome::Open(job) => job,
    };
    if let Some(first) = job.lost().first() {
        ui.warn(&format!(
            "{}: {} files of this artifact are missing or of another size, the first is `{first}`; they are made again",
            args.out.display(),
            job.lost().len()
        ));
    }
    let progress = Progress::default();
    let wanted = |number: usize| args.shard.is_none_or(|share| share.has(number));
    let files = job.files().iter().enumerate().filter(|(number, _)| wanted(*number));
    let bars = JobProgress::start(ui, &progress, files.map(|(_, file)| file));
    let ran = bars.watch(|| job.run(wanted, threads, &progress, interrupt::flag()));
    ran.map_err(|wrong| job_failure(&wrong))?;
    tell_changed(ui, &progress);
    tell_rows(ui, &progress.bad, "rows without text were left out");
    tell_rows(ui, &progress.replaced, "rows have U+FFFD in the place of what is no text");
    if let Some(share) = args.shard {
        ui.note(&format!("share {share} is done; run without `--shard` to make the artifact"));
        return Ok(());
    }
    let manifest = job.commit(interrupt::flag()).map_err(|wrong| job_failure(&wrong))?;
    tell_empty(ui, &manifest);
    let summary = BinsSummary::of(&args.out, &manifest, Some(begun.elapsed().as_secs_f64()));
    ui.emit(&summary.with_slow_paths(tokenizer.slow_paths()))
}

/// Warns where only its name says which of several tokens ends a document.
fn tell_eos(ui: &Ui, args: &TokenizeArgs, tokenizer: &Tokenizer) {
    if let ([taken, others @ ..], true) = (tokenizer.eos_guesses(), args.eos == Edge::Switch(true))
        && !others.is_empty()
    {
        ui.warn(&format!(
            "`{taken}` is taken to end a document, but the vocabulary has `{}` too, and no `tokenizer_config.json` beside it says which; `--eos TOKEN` does",
            others.join("`, `")
        ));
    }
}

/// Warns where a split of an artifact, or all of it, holds no document.
fn tell_empty(ui: &Ui, manifest: &Manifest) {
    let empty: Vec<&str> = manifest
        .splits
        .iter()
        .filter(|(_, split)| {
            matches!(split, SplitRecord::Shards { shards } if shards.iter().all(|shard| shard.documents == 0))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    if empty.len() == manifest.splits.len() {
        ui.warn("the input has no document; the artifact is empty");
    } else if let [name] = empty[..] {
        ui.warn(&format!(
            "split `{name}` is empty: of each file's n documents, the share times n, rounded up, go to `val`; with few documents a file, choose another `--val-fraction`, or fewer and larger files"
        ));
    }
}

/// Tells which files were done and changed since.
fn tell_changed(ui: &Ui, progress: &Progress) {
    let changed = progress.changed.lock().map(|changed| changed.clone()).unwrap_or_default();
    if let [first, rest @ ..] = changed.as_slice() {
        let others = if rest.is_empty() {
            String::new()
        } else {
            format!(", and {} more", grouped(rest.len() as u64))
        };
        ui.warn(&format!("{first}{others}; tokenized again, since it was done before the change"));
    }
}

/// Warns of rows in which something was found.
fn tell_rows(ui: &Ui, rows: &RowCounter, what: &str) {
    if rows.count() > 0 {
        ui.warn(&format!("{} {what}, among them:\n  {}", rows.count(), rows.first().join("\n  ")));
    }
}

fn job_failure(wrong: &JobError) -> Failure {
    let kind = match wrong {
        JobError::Interrupted => Kind::Interrupted,
        JobError::Object(wrong) if wrong.is_usage() => Kind::Usage,
        JobError::Width { .. }
        | JobError::NoSpecial { .. }
        | JobError::UnknownToken { .. }
        | JobError::NoFimTokens { .. }
        | JobError::FimToken { .. }
        | JobError::InputInside { .. } => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

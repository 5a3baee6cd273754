//! `ratdata decontaminate`: rows in, those without passages of benchmarks out.

use ratdata_prepare::{Decontaminate, OverlapSettings, Passages, THRESHOLD};
use ratdata_schemas::recipe::SplitFiles;
use ratdata_tokenize::hub::resolve_splits;
use serde_json::json;

use crate::arguments::RowsArgs;
use crate::failure::Failure;
use crate::interrupt;
use crate::library_failures::hub_failure;
use crate::number::small_count;
use crate::preparing::{Preparing, prepare_failure};
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Leave out rows that have passages of benchmarks
///
/// Looks for the n-grams of words of every text in the benchmarks, in lower case and without
/// punctuation, as GPT-3 and lm-evaluation-harness do. The score of a row is the share of a passage's
/// n-grams that it has; a row whose best score reaches `--threshold` is left out. `OUT/hits` has every
/// row that shares an n-gram with a passage, whatever its score: the passage, what the row has, and the
/// score. Look at them, and give the same command with another `--threshold`: it reads the hits and
/// looks for nothing again.
///
/// The same inputs and options give the same bytes for any `--num-proc`. After a stop, the same command
/// continues.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DecontaminateArgs {
    /// The benchmarks: files, folders, patterns, or `hf://datasets/OWNER/NAME[@REV]/PATH`
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    against: Vec<String>,

    /// The fields of the benchmarks that are looked for, with dots where they are nested
    /// [default: every text]
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    against_fields: Vec<String>,

    /// How many words an n-gram has
    #[arg(long, allow_negative_numbers = true, default_value_t = 13, value_name = "N", value_parser = small_count)]
    ngram: usize,

    /// A passage with fewer words than an n-gram is looked for as a whole, from N words on
    #[arg(long, allow_negative_numbers = true, default_value_t = 8, value_name = "N", value_parser = small_count)]
    shortest: usize,

    /// The share of a passage's n-grams from which on a row is left out
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.5, value_name = "SHARE", value_parser = threshold)]
    threshold: f64,

    /// Predict from a sample what is kept, and write nothing
    #[arg(long)]
    estimate: bool,

    #[command(flatten)]
    rows: RowsArgs,
}

const EXAMPLES: &str = "\
Examples:
  ratdata decontaminate corpus --against gsm8k.jsonl mmlu/*.parquet --out data/clean
  ratdata decontaminate corpus --against gsm8k.jsonl --threshold 0.8 --out data/clean
  zstdcat data/clean/hits/*.hits.zst | head";

fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(format!("found `{text}`, expected a share above 0 and up to 1")),
    }
}

/// Runs the command.
pub(crate) fn decontaminate(ui: &Ui, args: &DecontaminateArgs) -> Result<(), Failure> {
    let bars = FetchBars::new(ui);
    let stop = interrupt::flag();
    // A benchmark is what is held out.
    let found = resolve_splits(&args.against, SplitFiles::All, &bars);
    let found = found.map_err(|wrong| hub_failure(&wrong))?;
    let settings = OverlapSettings {
        ngram: args.ngram,
        shortest: args.shortest,
        fields: args.against_fields.clone(),
    };
    let passages = Passages::read(&found.files, &settings, stop);
    let passages = passages.map_err(|wrong| prepare_failure(&wrong))?;
    let own = json!({
        "against": passages.described(),
        "fields": settings.fields,
        "ngram": settings.ngram,
        "shortest": settings.shortest,
        THRESHOLD: args.threshold,
    });
    let work = Decontaminate { passages, threshold: args.threshold };
    let movable = Some(THRESHOLD);
    let preparing = Preparing { ui, args: &args.rows, kind: "decontaminate", own, movable };
    if args.estimate {
        return preparing.estimate(&work.judge());
    }
    preparing.run(|job, threads, progress| {
        let wanted = |number: usize| preparing.wants(number);
        work.run(job, wanted, args.rows.shard.is_some(), threads, progress, stop)
    })
}

//! `ratdata decontaminate`: rows in, those without passages of benchmarks out.

use clap::ValueEnum;
use ratdata_prepare::{Decontaminate, GramUnit, OverlapSettings, Passages, THRESHOLD};
use ratdata_schemas::recipe::SplitFiles;
use ratdata_tokenize::hub::resolve_splits;
use ratdata_tokenize::tokenizer::SpecialInText;
use serde_json::json;

use crate::arguments::{RowsArgs, tokenizer};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::hub_failure;
use crate::number::small_count;
use crate::preparing::{Preparing, prepare_failure};
use crate::progress::FetchBars;
use crate::ui::Ui;

/// Leave out rows that have passages of benchmarks
///
/// Looks for the n-grams of every text in the benchmarks: those of words, in lower case and without
/// punctuation, as GPT-3 and lm-evaluation-harness do, or those of a tokenizer's ids
/// (`--ngram-unit tokens`). The score of a row is the share of a passage's n-grams that it has; a row
/// whose best score reaches `--threshold` is left out. `OUT/hits` has every row that shares an n-gram
/// with a passage, whatever its score: the passage, what the row has, and the score. Look at them, and
/// give the same command with another `--threshold`: it reads the hits and looks for nothing again.
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

    /// What n-grams are made of
    #[arg(long, value_enum, default_value_t = UnitName::Words)]
    ngram_unit: UnitName,

    /// The tokenizer that gives the tokens, as of `tokenize`
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS", required_if_eq("ngram_unit", "tokens"))]
    tokenizer: Option<String>,

    /// How many words or tokens an n-gram has
    #[arg(long, allow_negative_numbers = true, default_value_t = 13, value_name = "N", value_parser = small_count)]
    ngram: usize,

    /// A passage with fewer words or tokens than an n-gram is looked for as a whole, from N on
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
  ratdata decontaminate corpus --against gsm8k.jsonl --ngram-unit tokens --tokenizer llama --out data/clean
  zstdcat data/clean/hits/*.hits.zst | head";

/// What n-grams are made of, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UnitName {
    /// Words in lower case, without punctuation
    Words,
    /// The ids that `--tokenizer` gives to the text
    Tokens,
}

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
    let unit = unit(ui, args, &bars)?;
    // A benchmark is what is held out.
    let found = resolve_splits(&args.against, SplitFiles::All, &bars);
    let found = found.map_err(|wrong| hub_failure(&wrong))?;
    let settings = OverlapSettings {
        unit,
        ngram: args.ngram,
        shortest: args.shortest,
        fields: args.against_fields.clone(),
    };
    let passages = Passages::read(&found.files, &settings, stop);
    let passages = passages.map_err(|wrong| prepare_failure(&wrong))?;
    let mut own = json!({
        "against": passages.described(),
        "fields": settings.fields,
        "ngram": settings.ngram,
        "shortest": settings.shortest,
        THRESHOLD: args.threshold,
    });
    if let GramUnit::Tokens(tokenizer) = &settings.unit {
        own["ngram_unit"] = settings.unit.to_string().into();
        own["tokenizer"] = json!(tokenizer.fingerprint());
    }
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

/// Returns what n-grams are made of; a tokenizer is loaded.
fn unit(ui: &Ui, args: &DecontaminateArgs, bars: &FetchBars) -> Result<GramUnit, Failure> {
    let Some(wanted) = &args.tokenizer else { return Ok(GramUnit::Words) };
    if args.ngram_unit == UnitName::Words {
        let message = "`--tokenizer` is for n-grams of tokens, and these are of words";
        let hint = "add `--ngram-unit tokens`, or leave `--tokenizer` out";
        return Err(Failure::message(Kind::Usage, message.to_owned()).hinted(Some(hint)));
    }
    let found = tokenizer::load(&tokenizer::resolve(wanted, bars)?)?;
    tokenizer::tell_oracle(ui, &found, SpecialInText::Plain);
    tokenizer::tell_notes(ui, &found);
    Ok(GramUnit::Tokens(found))
}

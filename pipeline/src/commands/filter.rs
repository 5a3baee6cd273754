//! `ratdata filter`: rows in, those that a predicate keeps out.

use ratdata_prepare::predicate::Predicate;
use ratdata_prepare::{Filter, Rules};
use serde_json::{Value, json};

use crate::arguments::RowsArgs;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::preparing::Preparing;
use crate::ui::Ui;

/// Keep the rows that a predicate and rules keep
///
/// Writes the kept rows with all their columns: a table stays parquet, lines and texts become
/// `.jsonl.zst`. `OUT/dropped` has a line for each other row, with the reason. Row groups whose footer
/// says that no row of them is kept are not read. The same inputs and options give the same bytes for
/// any `--num-proc`. After a stop, the same command continues.
///
/// A predicate compares columns (nested ones with dots) with numbers, texts in quotes, `true`, `false`
/// and each other: `== != < <= > >=`, `and or not`, `+ - * / %`, `in [...]`, `is null`. Its functions
/// are `len` (characters), `bytes`, `words`, `lines`, `lower`, `contains`, `starts_with`, `ends_with`,
/// `matches` (a regular expression), `abs`, `lang` (ISO 639-3, as `eng`) and `number` (of a text, as CSV has).
///
/// Rules are those of Gopher, C4 and FineWeb, each with the decisions of datatrove and thresholds that
/// `--set` changes. C4's take lines out of the text. `docs/preparing.md` has all of it.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FilterArgs {
    /// The predicate that kept rows fulfil
    #[arg(long = "where", value_name = "PREDICATE", required_unless_present = "rules")]
    predicate: Option<String>,

    /// Rules about the text: `gopher_repetition`, `gopher_quality`, `c4`, `fineweb`, or a file of them
    #[arg(long, value_name = "NAME|FILE", num_args = 1.., value_delimiter = ',')]
    rules: Vec<String>,

    /// Set a threshold of the rules, such as `fineweb.new_line_ratio=0.2`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Predict from a sample what is kept, and write nothing
    #[arg(long)]
    estimate: bool,

    #[command(flatten)]
    common: RowsArgs,
}

const EXAMPLES: &str = "\
Examples:
  ratdata filter corpus --where 'score >= 3 and language == \"en\"' --out data/filtered
  ratdata filter web.jsonl.gz --where 'len(text) > 200 and lang(text) == \"eng\"' --out data/english
  ratdata filter web --rules gopher_repetition gopher_quality --set gopher_quality.min_doc_words=20 --out x
  ratdata filter corpus --where 'int_score >= 4' --out data/best --estimate";

/// Runs the command.
pub(crate) fn filter(ui: &Ui, args: &FilterArgs) -> Result<(), Failure> {
    let predicate =
        args.predicate.as_deref().map(Predicate::parse).transpose().map_err(|wrong| {
            let hint = wrong.hint().map(str::to_owned);
            Failure::message(Kind::Usage, format!("--where: {wrong}")).hinted(hint)
        })?;
    let rules = Rules::read(&args.rules, &args.set)
        .map_err(|wrong| Failure::message(Kind::Usage, wrong.to_string()))?;
    let own = json!({ "where": args.predicate, "rules": rules });
    let filter = Filter::new(predicate, rules);
    let preparing = Preparing { ui, args: &args.common, kind: "filter", own, movable: None };
    if args.estimate {
        return preparing.estimate(&filter);
    }
    preparing.run(|job, threads, progress| {
        let wanted = |number: usize| preparing.wants(number);
        job.write(&filter, wanted, threads, progress, interrupt::flag())?;
        Ok(Value::Null)
    })
}

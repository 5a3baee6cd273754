//! `ratdata dedup`: rows in, those that were not there before out.

use clap::ValueEnum;
use ratdata_prepare::{Dedup, MinHash, Normalize, Unit};
use serde_json::json;

use crate::arguments::RowsArgs;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::number::{memory, small_count};
use crate::preparing::Preparing;
use crate::ui::Ui;

/// Leave out rows that were there before
///
/// `exact` compares texts, paragraphs or lines as a whole; `minhash` finds near duplicates by the
/// n-grams of words that they share. Of equal ones, the first in the order of the input stays, across
/// all files. `OUT/dropped` names for each row that is left out the row that stays. Give the corpora of
/// all splits together, and split them afterwards.
///
/// Sorted runs on disk keep memory bounded (`--memory`); near duplicates take four bytes a row more.
/// The same inputs and options give the same bytes for any `--num-proc` and `--memory`. After a stop,
/// the same command continues.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DedupArgs {
    /// How duplicates are found
    #[arg(long, value_enum, default_value_t = Method::Exact)]
    method: Method,

    /// What is compared exactly [default: document]
    #[arg(long, value_enum)]
    unit: Option<UnitName>,

    /// What counts when it is compared [default: space]
    #[arg(long, value_enum)]
    normalize: Option<NormalizeName>,

    /// Paragraphs and lines with fewer words are always kept [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = small_count)]
    min_words: Option<usize>,

    /// How many words an n-gram has [default: 5]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = small_count)]
    ngram: Option<usize>,

    /// How many bands a signature has: more bands find more, and more that is less alike [default: 14]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = small_count)]
    bands: Option<usize>,

    /// How many numbers a band has: more numbers find less, and what is more alike [default: 8]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = small_count)]
    band_size: Option<usize>,

    /// The seed of the permutations [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "SEED", value_parser = crate::number::whole)]
    seed: Option<u64>,

    /// How much memory the sorting takes, such as 500MB or 8GB
    #[arg(long, default_value = "1GB", value_name = "SIZE", value_parser = memory)]
    memory: u64,

    #[command(flatten)]
    rows: RowsArgs,
}

/// How duplicates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// By a checksum of the text.
    Exact,
    /// By MinHash signatures and locality-sensitive hashing.
    Minhash,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UnitName {
    /// Whole texts: a duplicate is left out.
    Document,
    /// Parts between blank lines: duplicates are taken out of the text.
    Paragraph,
    /// Lines: duplicates are taken out of the text.
    Line,
}

/// What counts of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NormalizeName {
    /// Every byte.
    None,
    /// All but the amount of white space.
    Space,
    /// Letters and digits in lower case.
    Words,
}

const EXAMPLES: &str = "\
Examples:
  ratdata dedup corpus --out data/unique
  ratdata dedup web books --method minhash --memory 8GB --out data/unique
  ratdata dedup web --unit line --normalize words --min-words 4 --out data/unique-lines";

impl DedupArgs {
    /// Returns what is asked for; an option of the other method says nothing, and is refused.
    fn dedup(&self) -> Result<Dedup, Failure> {
        let exact = [
            ("--unit", self.unit.is_some()),
            ("--normalize", self.normalize.is_some()),
            ("--min-words", self.min_words.is_some()),
        ];
        let minhash = [
            ("--ngram", self.ngram.is_some()),
            ("--bands", self.bands.is_some()),
            ("--band-size", self.band_size.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        let (others, needed) = match self.method {
            Method::Exact => (&minhash[..], "minhash"),
            Method::Minhash => (&exact[..], "exact"),
        };
        if let Some((option, _)) = others.iter().find(|(_, given)| *given) {
            let message = format!("`{option}` is an option of `--method {needed}`");
            return Err(Failure::message(Kind::Usage, message));
        }
        Ok(match self.method {
            Method::Exact => Dedup::Exact {
                unit: match self.unit {
                    None | Some(UnitName::Document) => Unit::Document,
                    Some(UnitName::Paragraph) => Unit::Paragraph,
                    Some(UnitName::Line) => Unit::Line,
                },
                normalize: match self.normalize {
                    Some(NormalizeName::None) => Normalize::None,
                    None | Some(NormalizeName::Space) => Normalize::Space,
                    Some(NormalizeName::Words) => Normalize::Words,
                },
                min_words: self.min_words.unwrap_or(1),
            },
            Method::Minhash => {
                let usual = MinHash::default();
                Dedup::Near(MinHash {
                    ngram: self.ngram.unwrap_or(usual.ngram),
                    bands: self.bands.unwrap_or(usual.bands),
                    rows: self.band_size.unwrap_or(usual.rows),
                    seed: self.seed.unwrap_or(usual.seed),
                })
            }
        })
    }
}

/// Runs the command.
pub(crate) fn dedup(ui: &Ui, args: &DedupArgs) -> Result<(), Failure> {
    let dedup = args.dedup()?;
    let own = json!(dedup);
    let preparing = Preparing { ui, args: &args.rows, kind: "dedup", own, movable: None };
    preparing.run(|job, threads, progress| {
        let wanted = |number: usize| preparing.wants(number);
        let is_share = args.rows.shard.is_some();
        let limits = (threads, args.memory);
        dedup.run(job, wanted, is_share, limits, progress, interrupt::flag())
    })
}

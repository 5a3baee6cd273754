//! `ratdata pack`: token bins in, rows of one length out.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ratdata_tokenize::pack::{
    Algorithm, Long, PackConfig, PackError, PackJob, PackOutcome, SplitPacked,
};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::number::whole;
use crate::quantity::grouped;
use crate::ui::Ui;

/// Put the documents of token bins into rows of one length
///
/// A pack is an index: spans of the bins it was made from, which stay where they are. So another
/// length, order or algorithm takes seconds. Rows know where documents end and what is learnt.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PackArgs {
    /// The artifact of token bins
    #[arg(long, value_name = "DIR")]
    input: PathBuf,

    /// The folder that becomes the pack
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// How many inputs a row has; it has one token more, which is only a label
    #[arg(long, allow_negative_numbers = true, default_value_t = 4096, value_name = "N")]
    seq_len: u32,

    /// How documents are put into rows
    #[arg(long, value_enum, default_value_t = PackingArg::BestFit)]
    packing: PackingArg,

    #[command(flatten)]
    options: PackingArgs,

    /// The part to pack [default: all]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,

    /// Replace what another job left in the folder
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata pack --input data/tokens --out data/packed --seq-len 4096
  ratdata pack --input data/tokens --out data/packed-2k --seq-len 2048 --packing concat";

/// Options of every packing.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PackingArgs {
    /// What becomes of a document longer than a row [default: split]
    #[arg(long, value_enum)]
    long: Option<LongArg>,

    /// Begin documents at multiples of N columns, such as the model's chunk [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    align: Option<u32>,

    /// Draw the documents' order from this seed [default: as they lie in the bins]
    #[arg(long, allow_negative_numbers = true, value_name = "SEED", value_parser = whole)]
    seed: Option<u64>,

    /// Write the rows out for other readers, too
    #[arg(long)]
    pub(crate) materialize: bool,
}

/// How documents are put into rows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PackingArg {
    /// One after the other, cut wherever a row is full
    Concat,
    /// Whole, each into the fullest row with room
    BestFit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LongArg {
    /// It is split over rows
    Split,
    /// It is left out
    Drop,
}

impl PackingArgs {
    pub(crate) fn config(&self, seq_len: u32, packing: PackingArg) -> PackConfig {
        PackConfig {
            seq_len,
            packing: match packing {
                PackingArg::Concat => Algorithm::Concat,
                PackingArg::BestFit => Algorithm::BestFit,
            },
            long: match self.long {
                None | Some(LongArg::Split) => Long::Split,
                Some(LongArg::Drop) => Long::Drop,
            },
            align: self.align.unwrap_or(1),
            seed: self.seed,
        }
    }

    /// Returns the first option that was given, which says nothing where nothing is packed.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.long.is_some(), "--long"),
            (self.align.is_some(), "--align"),
            (self.seed.is_some(), "--seed"),
            (self.materialize, "--materialize"),
        ];
        given.into_iter().find_map(|(given, option)| given.then_some(option))
    }
}

/// Runs the command.
pub(crate) fn pack(ui: &Ui, args: &PackArgs) -> Result<(), Failure> {
    let job = PackJob {
        input: args.input.clone(),
        out: args.out.clone(),
        split: args.split.clone(),
        config: args.options.config(args.seq_len, args.packing),
        materialize: args.options.materialize,
        force: args.force,
    };
    let outcome = job.run(interrupt::flag()).map_err(|wrong| pack_failure(&wrong))?;
    if !outcome.made {
        ui.note(&format!("{}: already done", args.out.display()));
    }
    ui.emit(&PackReport::of(&args.out, &outcome))
}

pub(crate) fn pack_failure(wrong: &PackError) -> Failure {
    let kind = match wrong {
        PackError::Interrupted => Kind::Interrupted,
        wrong if wrong.is_usage() => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// What a pack holds.
#[derive(Debug, Serialize)]
pub(crate) struct PackReport {
    out: PathBuf,
    splits: Vec<SplitFill>,
}

#[derive(Debug, Serialize)]
struct SplitFill {
    #[serde(flatten)]
    packed: SplitPacked,
    fill: f64,
    padding: f64,
}

impl PackReport {
    pub(crate) fn of(out: &Path, outcome: &PackOutcome) -> Self {
        let splits = outcome.packed.iter().map(|packed| SplitFill {
            fill: packed.fill(),
            padding: 1.0 - packed.fill(),
            packed: packed.clone(),
        });
        Self { out: out.to_owned(), splits: splits.collect() }
    }
}

impl fmt::Display for PackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.splits.is_empty() {
            writeln!(
                f,
                "{:<8} {:>12} {:>12} {:>8} {:>9} {:>12} {:>10}",
                "split", "rows", "documents", "fill", "padding", "cut", "left out"
            )?;
        }
        for SplitFill { packed, fill, padding } in &self.splits {
            writeln!(
                f,
                "{:<8} {:>12} {:>12} {:>7.2}% {:>8.2}% {:>12} {:>10}",
                packed.split,
                grouped(packed.counts.rows),
                grouped(packed.counts.documents),
                fill * 100.0,
                padding * 100.0,
                grouped(packed.counts.cut),
                grouped(packed.counts.dropped.saturating_add(packed.counts.empty)),
            )?;
        }
        write!(f, "{}", self.out.display())
    }
}

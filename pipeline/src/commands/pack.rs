//! `ratdata pack`: token bins in, rows of one length out.

use std::path::PathBuf;

use ratdata_tokenize::pack::{Algorithm, PackJob};

use crate::arguments::PackingArgs;
use crate::failure::Failure;
use crate::interrupt;
use crate::library_failures::pack_failure;
use crate::summary::PackSummary;
use crate::ui::Ui;

/// Put the documents of token bins into rows of one length
///
/// A pack is an index of spans over the token bins. It does not copy them, so another length, order
/// or algorithm takes seconds. Each row records where its documents end and which tokens are
/// trained on.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PackArgs {
    /// The artifact of token bins
    #[arg(long, value_name = "DIR")]
    input: PathBuf,

    /// The folder that becomes the pack
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The number of inputs of a row; a row has one more token, which is only a label
    #[arg(long, allow_negative_numbers = true, default_value_t = 4096, value_name = "N")]
    seq_len: u32,

    /// How documents are put into rows
    #[arg(long, value_enum, default_value_t = Algorithm::BestFit)]
    packing: Algorithm,

    #[command(flatten)]
    options: PackingArgs,

    /// The split to pack [default: all]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,

    /// Replace the files of another job in the folder
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata pack --input data/tokens --out data/packed --seq-len 4096
  ratdata pack --input data/tokens --out data/packed-2k --seq-len 2048 --packing concat";

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
    ui.emit(&PackSummary::of(&args.out, &outcome.manifest))
}

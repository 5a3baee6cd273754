//! `ratdata merge`: artifacts of token bins in, one with a file for each split out.

use std::path::PathBuf;

use ratdata_schemas::PlainName;

use crate::failure::Failure;
use crate::interrupt;
use crate::library_failures::transcode_failure;
use crate::summary::BinsSummary;
use crate::transcode::{MergeJob, merge as join};
use crate::ui::Ui;

/// Join artifacts of token bins into one, with one file for each split
///
/// The tokens come one after the other in the order of the inputs, and within each in the order of
/// its shards. The inputs stay as they are; `tokenize --merge` joins shards while it makes them.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    /// The artifacts, in the order of their tokens
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    input: Vec<PathBuf>,

    /// The folder that becomes the artifact
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What the files' names begin with [default: the first input's name]
    #[arg(long, value_name = "NAME")]
    name: Option<PlainName>,

    /// Replace an artifact that is there already
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata merge --input data/tokens --out data/merged
  ratdata merge --input data/web data/books --out data/all --name all";

/// Runs the command.
pub(crate) fn merge(ui: &Ui, args: &MergeArgs) -> Result<(), Failure> {
    let job = MergeJob {
        inputs: &args.input,
        out: &args.out,
        name: args.name.as_ref(),
        force: args.force,
        stop: interrupt::flag(),
    };
    let merged = join(&job).map_err(|wrong| transcode_failure(&wrong))?;
    if !merged.made {
        ui.note(&format!("{}: already done", args.out.display()));
    }
    ui.emit(&BinsSummary::of(&args.out, &merged.manifest, None))
}

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
/// Concatenates the tokens in the order of the inputs, and within an input in the order of its
/// shards. The inputs do not change. `tokenize --merge` joins shards while it writes them.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MergeArgs {
    /// The artifacts, in the order of their tokens
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    input: Vec<PathBuf>,

    /// The folder that becomes the artifact
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The prefix of file names [default: the first input's name]
    #[arg(long, value_name = "NAME")]
    name: Option<PlainName>,

    /// Replace an existing artifact
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

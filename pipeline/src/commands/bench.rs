//! `ratdata bench`: starts the trainer's benches of layers and of decoding.

use std::ffi::OsString;

use super::train::become_trainer;
use crate::failure::Failure;
use crate::ui::Ui;

/// Measure the speed of layers and of decoding
///
/// Passes all arguments to `ratdata-train bench`. `layer` times training, reading a prompt and one
/// token of single layers; `model` finds the largest batch whose caches fit and decodes with it. On a
/// CPU the usual sizes are small, on a GPU they are the paper's. `ratdata bench layer --help` lists all
/// options.
#[derive(clap::Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// `layer` or `model`, and options of the bench
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata bench layer --layers attention,rat:16 --lengths 256,512,1024
  ratdata bench model --memory 2048 --out bench --json";

/// Runs the command.
pub(crate) fn bench(ui: &Ui, args: &BenchArgs) -> Result<(), Failure> {
    become_trainer(ui, Some("bench"), &args.args)
}

//! `ratdata train`: starts the trainer, which is a program of its own.

use std::ffi::OsString;
use std::process::Command;

use crate::failure::{Failure, Kind};
use crate::trainer::Trainer;
use crate::ui::Ui;

/// Train a model on token bins
///
/// Passes all arguments to `ratdata-train`. CONFIG is a TOML file or the name of an experiment, and
/// `--data DIR` an artifact of `tokenize`, `sft` or `pack`. `ratdata train --help` lists all
/// options. Without CONFIG, it trains the experiment of `ratdata.toml`, or lists all experiments.
#[derive(clap::Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// CONFIG and options of the trainer
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata train tiny-rat --data data/tokens
  ratdata train my.toml --data data/packed --device cuda --resume";

/// Runs the command.
pub(crate) fn train(ui: &Ui, args: &TrainArgs) -> Result<(), Failure> {
    become_trainer(ui, None, &args.args)
}

/// Replaces this process by the trainer's command `name`, or by training, with `args`.
pub(super) fn become_trainer(
    ui: &Ui,
    name: Option<&str>,
    args: &[OsString],
) -> Result<(), Failure> {
    let program = Trainer::find(ui)?.path(ui)?;
    let mut command = Command::new(&program);
    command.args(name).args(args);
    // Options before the command's name were ours to read, and are the trainer's too.
    for (wish, option) in [(ui.json(), "--json"), (ui.quiet(), "--quiet")] {
        if wish && !args.iter().any(|given| given == option) {
            command.arg(option);
        }
    }
    let wrong = become_program(command);
    Err(Failure::message(Kind::Failed, format!("{}: cannot start: {wrong}", program.display())))
}

/// Replaces this process by the trainer, so that signals reach it and its status is ours.
fn become_program(mut command: Command) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    command.exec()
}

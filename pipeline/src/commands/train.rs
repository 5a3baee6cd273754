//! `ratdata train`: starts the trainer, which is a program of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::failure::{Failure, Kind};
use crate::trainer::Trainer;
use crate::ui::Ui;

/// Train a model on token bins
///
/// Passes everything on to `ratdata-train`: CONFIG is a TOML file or the name of an experiment,
/// `--data DIR` what `tokenize`, `sft` or `pack` made. `ratdata train --help` lists its options.
/// Without CONFIG it trains the experiment of `ratdata.toml`, or lists the experiments there are.
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
    let program = Trainer::find(ui)?.path(ui)?;
    let mut command = Command::new(&program);
    command.args(&args.args);
    // Options before the command's name were ours to read, and are the trainer's too.
    for (wish, option) in [(ui.json(), "--json"), (ui.quiet(), "--quiet")] {
        if wish && !args.args.iter().any(|given| given == option) {
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

/// Where a sequence that a run draws lies on disk, as the trainer says it.
#[derive(Debug, Deserialize)]
pub(crate) struct Drawn {
    /// The artifact or the bin.
    pub(crate) path: PathBuf,
    pub(crate) split: String,
    /// The sequence's number in the split.
    pub(crate) row: u64,
    /// Where it begins in the stream of tokens; rows of pairs have no such place.
    pub(crate) first_token: Option<u64>,
}

/// Asks the trainer what a run drew in an iteration; `run` is the run's folder.
pub(crate) fn draws(ui: &Ui, run: &Path, iteration: u64) -> Result<Vec<Drawn>, Failure> {
    let program = Trainer::find(ui)?.path(ui)?;
    let iteration = iteration.to_string();
    let output = Command::new(&program)
        .arg(run.join("resolved.toml"))
        .args(["--device", "cpu", "--json", "--quiet", "--draws", &iteration])
        .output()
        .map_err(|wrong| {
            Failure::message(Kind::Failed, format!("{}: cannot start: {wrong}", program.display()))
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("error: ").to_owned();
        let kind = if output.status.code() == Some(2) { Kind::Usage } else { Kind::Failed };
        return Err(Failure::message(kind, said));
    }
    serde_json::from_slice(&output.stdout).map_err(|wrong| {
        Failure::message(Kind::Failed, format!("the trainer said no JSON: {wrong}"))
    })
}

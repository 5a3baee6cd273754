//! `ratdata train`: starts the trainer, which is a program of its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// The trainer's program, which lies beside this one.
const PROGRAM: &str = "ratdata-train";

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
    let beside = beside()?;
    let program = find(ui, &beside)?.ok_or_else(|| missing(&beside))?;
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
    let beside = beside()?;
    let program = find(ui, &beside)?.ok_or_else(|| missing(&beside))?;
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

/// Returns whether there is a trainer, which is built under `cargo run`; warns where there is none.
pub(crate) fn is_there(ui: &Ui) -> Result<bool, Failure> {
    let beside = beside()?;
    let found = find(ui, &beside)?.is_some();
    if !found {
        ui.warn(&format!("{}: the trainer is not there, no model is trained", beside.display()));
    }
    Ok(found)
}

/// Returns where the trainer lies: in the folder of this program.
fn beside() -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|wrong| {
        Failure::message(Kind::Failed, format!("cannot tell where this program lies: {wrong}"))
    })?;
    Ok(own.with_file_name(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX)))
}

/// Finds the trainer beside this program; under `cargo run` it is built where it is missing.
fn find(ui: &Ui, beside: &Path) -> Result<Option<PathBuf>, Failure> {
    if !beside.is_file()
        && let (Some(cargo), Some(manifest)) =
            (env::var_os("CARGO"), env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
    {
        build(ui, &cargo, &manifest, beside)?;
    }
    Ok(beside.is_file().then(|| beside.to_owned()))
}

fn missing(beside: &Path) -> Failure {
    let message = format!("{}: the trainer is not there", beside.display());
    Failure::message(Kind::Failed, message).hinted(Some(
        "build it with `cargo build --release -p ratdata-train`, and keep both programs in one folder",
    ))
}

/// Builds the trainer in the profile and the target folder of this program.
fn build(ui: &Ui, cargo: &OsString, manifest: &Path, beside: &Path) -> Result<(), Failure> {
    ui.note("building the trainer, once: `cargo build -p ratdata-train`");
    let folder = |levels: usize| beside.ancestors().nth(levels).unwrap_or(Path::new("."));
    let profile = folder(1).file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    let profile = if profile == "debug" { "dev" } else { profile };
    let status = Command::new(cargo)
        .args(["build", "-p", PROGRAM, "--profile", profile, "--target-dir"])
        .arg(folder(2))
        .current_dir(manifest)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Failure::message(Kind::Failed, format!("building the trainer failed: {status}")))
        }
        Err(wrong) => Err(Failure::message(Kind::Failed, format!("cargo: cannot start: {wrong}"))),
    }
}

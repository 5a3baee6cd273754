//! `ratdata train`: starts the trainer, which is a program of its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

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
#[command(disable_help_flag = true)]
pub(crate) struct TrainArgs {
    /// CONFIG and options of the trainer
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs the command.
pub(crate) fn train(ui: &Ui, args: &TrainArgs) -> Result<(), Failure> {
    let program = find(ui)?;
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

/// Finds the trainer beside this program; under `cargo run` it is built where it is missing.
fn find(ui: &Ui) -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|wrong| {
        Failure::message(Kind::Failed, format!("cannot tell where this program lies: {wrong}"))
    })?;
    let beside = own.with_file_name(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX));
    if beside.is_file() {
        return Ok(beside);
    }
    if let (Some(cargo), Some(manifest)) =
        (env::var_os("CARGO"), env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
    {
        build(ui, &cargo, &manifest, &own)?;
        if beside.is_file() {
            return Ok(beside);
        }
    }
    let message = format!("{}: the trainer is not there", beside.display());
    Err(Failure::message(Kind::Failed, message).hinted(Some(
        "build it with `cargo build --release -p ratdata-train`, and keep both programs in one folder",
    )))
}

/// Builds the trainer in the profile and the target folder of this program.
fn build(ui: &Ui, cargo: &OsString, manifest: &Path, own: &Path) -> Result<(), Failure> {
    ui.note("building the trainer, once: `cargo build -p ratdata-train`");
    let folder = |levels: usize| own.ancestors().nth(levels).unwrap_or(Path::new("."));
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

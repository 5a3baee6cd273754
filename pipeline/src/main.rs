//! The `ratdata` command line.

mod arguments;
mod card;
mod cli;
#[cfg(test)]
mod cli_reference;
mod commands;
mod dag;
mod demo;
mod executor;
mod failure;
mod generation;
mod harness;
mod inspect;
mod interrupt;
mod library_failures;
mod longbench;
mod number;
mod plain;
mod preparing;
mod progress;
mod progress_line;
mod report;
mod store;
mod stored_artifact;
mod stored_output;
mod summary;
mod trainer;
mod transcode;
mod ui;
mod verify;
mod watcher;

use std::process::ExitCode;

use clap::CommandFactory;
use ratdata_console::BoundedMemory;

use crate::cli::Cli;
use crate::failure::{Failure, Kind};
use crate::ui::Ui;

#[global_allocator]
static MEMORY: BoundedMemory = BoundedMemory;

fn main() -> ExitCode {
    // Without the handler a limit on files ends the program, which every writer survives.
    drop(ratdata_schemas::tell_file_limit());
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(usage) => return report_usage(&Ui::new(false, false), &usage),
    };
    let ui = Ui::new(cli.global.json, cli.global.quiet);
    interrupt::watch();
    ratdata_objects::stop_on(interrupt::flag());
    commands::dispatch(&ui, &cli.command, Cli::command).map_or_else(
        |failure| {
            ui.failure(&failure);
            failure.exit_code()
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Prints what is wrong with the command line. Help and version are no failure, unless they cannot
/// be printed.
fn report_usage(ui: &Ui, usage: &clap::Error) -> ExitCode {
    match usage.print() {
        _ if usage.use_stderr() => ExitCode::from(Kind::Usage.status()),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = Failure::stdout(&error);
            ui.failure(&failure);
            failure.exit_code()
        }
    }
}

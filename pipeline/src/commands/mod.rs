//! The commands, one file each.

pub(crate) mod tokenize;

use crate::failure::Failure;
use crate::ui::Ui;

/// What `ratdata` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Tokenize(tokenize::TokenizeArgs),
}

/// Runs the command that was asked for.
pub(crate) fn dispatch(ui: &Ui, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Tokenize(args) => tokenize::tokenize(ui, args),
    }
}

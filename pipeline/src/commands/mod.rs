//! The commands, one file each.

use crate::failure::Failure;
use crate::ui::Ui;

/// What `ratdata` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {}

/// Runs the command that was asked for.
pub(crate) fn dispatch(_ui: &Ui, command: Command) -> Result<(), Failure> {
    match command {}
}

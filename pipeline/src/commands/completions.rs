//! `ratdata completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use crate::failure::Failure;
use crate::ui::Ui;

/// Print a script that completes commands and options in a shell
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  ratdata completions bash > ~/.local/share/bash-completion/completions/ratdata
  ratdata completions zsh > ~/.zfunc/_ratdata
  ratdata completions fish > ~/.config/fish/completions/ratdata.fish";

/// Runs the command.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut program: clap::Command,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "ratdata", &mut script);
    Ui::print(&String::from_utf8_lossy(&script))
}

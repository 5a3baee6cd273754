//! What the user typed: the commands and the options that all of them share.

use clap::{Parser, builder::styling};

use crate::commands::Command;

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 failed, 2 usage or configuration, \
3 an artifact is not what its manifest says, 4 stale steps (`plan --check`), 130 interrupted. \
A closed pipe is 0.";

/// Prepare text for language-model training: exact, fast, crash-safe
#[derive(Debug, Parser)]
#[command(name = "ratdata", version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
#[command(propagate_version = true, infer_subcommands = false, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results and errors alone, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

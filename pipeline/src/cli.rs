//! What the user typed: the commands and the options that all of them share.

use clap::builder::styling;
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use ratdata_objects::Address;

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

/// Commands whose `--out` may be in an object store.
const TO_STORES: [&str; 2] = ["export", "tokenize"];

/// Reads the command line.
///
/// # Errors
///
/// It is no command line of this program, or asks for help.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    if let Some(out) = stored_output(&matches) {
        let message = format!(
            "`--out {out}`: only `tokenize` and `export` write to an object store; write to a folder, and copy it there"
        );
        return Err(Cli::command().error(ErrorKind::ValueValidation, message));
    }
    Cli::from_arg_matches(&matches)
}

/// Returns the output in an object store of a command that writes to folders alone: it would make a folder `s3:`.
fn stored_output(matches: &ArgMatches) -> Option<String> {
    let (command, options) = matches.subcommand()?;
    if TO_STORES.contains(&command) {
        return None;
    }
    let mut values = options.try_get_raw("out").ok().flatten()?;
    let text = values.next()?.to_str()?.to_owned();
    Address::is_one(&text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_can_take_an_output_in_a_store() {
        let stored = |words: &[&str]| {
            let matches = Cli::command().try_get_matches_from(words).unwrap();
            stored_output(&matches)
        };

        assert_eq!(stored(&["ratdata", "tokenize", "--out", "s3://b/x"]), None);
        assert_eq!(stored(&["ratdata", "tokenize", "--out", "x"]), None);
        let filter = ["ratdata", "filter", "a.jsonl", "--where", "score > 3", "--out=gs://b/x"];
        let refused = stored(&filter);
        assert_eq!(refused.as_deref(), Some("gs://b/x"));
    }
}

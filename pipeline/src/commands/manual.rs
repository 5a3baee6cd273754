//! `ratdata manual`: the manual pages, for `man`.

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use ratdata_schemas::write_bytes;

use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// Write the manual pages, one for each command
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManualArgs {
    /// The folder of the pages, in section 1 of the manual
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  ratdata manual --out ~/.local/share/man/man1 && man ratdata-tokenize";

/// Runs the command.
pub(crate) fn manual(args: &ManualArgs, mut program: clap::Command) -> Result<(), Failure> {
    program = program.disable_help_subcommand(true);
    program.build();
    let mut names = vec![page(&program, &args.out)?];
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        names.push(page(command, &args.out)?);
    }
    Ui::print(&names.join("\n"))
}

/// Writes the page of one command, and returns its name.
fn page(command: &clap::Command, folder: &Path) -> Result<String, Failure> {
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let name = format!("{title}.1");
    let path = folder.join(&name);
    let failed = |wrong: String| {
        Failure::message(Kind::Failed, format!("{}: cannot be written: {wrong}", path.display()))
    };
    let mut text = Vec::new();
    let man = Man::new(command.clone()).title(&title);
    man.render(&mut text).map_err(|wrong| failed(wrong.to_string()))?;
    write_bytes(&path, &text).map_err(|wrong| failed(wrong.to_string()))?;
    Ok(name)
}

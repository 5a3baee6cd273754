//! `ratdata clean`: removes results that no pipeline refers to.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use ratdata_console::sized;
use ratdata_schemas::remove_folder_if_exists;
use serde::Serialize;

use crate::arguments::{PipelineArgs, Program, check_store};
use crate::dag::embedded::embedded;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::store_failure;
use crate::store::{Store, Unused};
use crate::ui::Ui;

/// Remove results that no pipeline refers to, after showing them
///
/// Keeps each result that the last run of an existing pipeline used, each result that the given
/// pipeline would use, and results that another run makes at this moment.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata clean\n  ratdata clean tiny --yes")]
pub(crate) struct CleanArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Remove without asking
    #[arg(long)]
    yes: bool,
}

/// What `clean` found, and whether it is gone.
#[derive(Debug, Serialize)]
struct CleanReport {
    store: PathBuf,
    unused: Vec<Unused>,
    bytes: u64,
    removed: bool,
}

/// Runs the command.
pub(crate) fn clean(ui: &Ui, args: &CleanArgs, program: Program) -> Result<(), Failure> {
    let (store, kept) = kept(ui, args, program)?;
    let unused = store.unused(&kept, &|name| embedded(name).is_some()).map_err(|wrong| {
        Failure::message(Kind::Failed, format!("{}: {wrong}", store.root().display()))
    })?;
    let bytes = unused.iter().map(|unused| unused.bytes).sum();
    let mut report = CleanReport { store: store.root().to_owned(), unused, bytes, removed: false };
    report.removed = !report.unused.is_empty() && (args.yes || is_wanted(ui, &report)?);
    if report.removed {
        for unused in &report.unused {
            interrupt::check()?;
            remove_folder_if_exists(&unused.path).map_err(store_failure)?;
        }
    }
    ui.emit(&report)
}

/// Returns the store and what the given pipeline refers to; the store alone where none is given
/// and none is here.
fn kept(ui: &Ui, args: &CleanArgs, program: Program) -> Result<(Store, BTreeSet<String>), Failure> {
    let pipeline = &args.pipeline;
    if !pipeline.is_named() && !pipeline.pipeline.exists() {
        let store = pipeline.store.clone().unwrap_or_else(|| PathBuf::from(".ratdata/store"));
        let store = Store::at(&store);
        check_store(&store)?;
        return Ok((store, BTreeSet::new()));
    }
    let (_, store, plan) = pipeline.plan_in_store(ui, program)?;
    Ok((store, plan.objects()))
}

/// Asks the user, where there is one.
fn is_wanted(ui: &Ui, report: &CleanReport) -> Result<bool, Failure> {
    if ui.json() || !io::stdin().is_terminal() || !ui.live() {
        return Ok(false);
    }
    ui.note(&report.list());
    ui.note("remove them? [y/N]");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|wrong| Failure::message(Kind::Failed, format!("stdin: cannot read: {wrong}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl CleanReport {
    fn list(&self) -> String {
        let line =
            |unused: &Unused| format!("{:>10}  {}\n", sized(unused.bytes), unused.path.display());
        let mut text: String = self.unused.iter().map(line).collect();
        text += &format!("{:>10}  in {} folders", sized(self.bytes), self.unused.len());
        text
    }
}

impl fmt::Display for CleanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.unused.is_empty(), self.removed) {
            (true, _) => write!(f, "{}: nothing to remove", self.store.display()),
            (false, true) => write!(f, "{}\nremoved", self.list()),
            (false, false) => write!(f, "{}\nnothing was removed; `--yes` does", self.list()),
        }
    }
}

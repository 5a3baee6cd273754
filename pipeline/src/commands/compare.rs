//! `ratdata compare`: one page with the losses, scores and speeds of several models.

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::{ArtifactError, write_bytes, write_json};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::report::{Comparison, NamedFolder, Paper};
use crate::ui::Ui;

/// Compare trained models on one page
///
/// Each NAME=FOLDER says that a folder is about a model: the folder of a training run, or what `score
/// --out` or `eval` has written. A model may have several folders, and its first run is that of
/// pretraining. Writes `report.html`, with tables and curves, and `results.json`, which has the same
/// numbers. Scores are in percent.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// A model's name and a folder about it
    #[arg(value_name = "NAME=FOLDER", required = true)]
    results: Vec<NamedFolder>,

    /// What `bench model --out` has written
    #[arg(long, value_name = "DIR")]
    speed: Option<PathBuf>,

    /// Show the figures of the RAT paper next to the models that have its names, such as `rat-xl`
    #[arg(long)]
    paper: bool,

    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  ratdata compare rat=runs/tiny-rat attention=runs/tiny-attention --out compared
  ratdata compare rat-xl=runs/rat-xl rat-xl=scores/rat-xl --paper --out compared";

/// The files that `--out` gets.
const PAGE_FILE: &str = "report.html";
const RESULTS_FILE: &str = "results.json";

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    page: PathBuf,
    models: usize,
    runs: usize,
    scores: usize,
}

/// Runs the command.
pub(crate) fn compare(ui: &Ui, args: &CompareArgs) -> Result<(), Failure> {
    let paper = args.paper.then(Paper::rat);
    let comparison = Comparison::of(&args.results, args.speed.as_deref(), paper.as_ref())?;
    let page = args.out.join(PAGE_FILE);
    let html = comparison.page()?;
    write_json(&args.out.join(RESULTS_FILE), &comparison)
        .and_then(|()| write_bytes(&page, html.as_bytes()))
        .map_err(|wrong: ArtifactError| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let (models, runs, scores) = comparison.counts();
    ui.emit(&Written { page, models, runs, scores })
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, models, runs, scores } = self;
        write!(f, "{}\n{models} models, {runs} training runs, {scores} scores", page.display())
    }
}

//! `ratdata report`: one page to look at and to share.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ratdata_console::sized;
use ratdata_prepare::Prepared;
use ratdata_schemas::{ArtifactError, Dtype, MANIFEST_FILE, StagedFile};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::inspect::{Subject, find_tokenizer};
use crate::interrupt;
use crate::report::{Report, Wanted, artifact_of, is_run};
use crate::ui::Ui;

/// Write a page with plots about an artifact
///
/// Writes one HTML file that needs no network: sortable tables, plots, decoded samples with token
/// boundaries and loss masks, the steps that made the artifact, and the curves of training runs on
/// it. For prepared rows, it shows what is kept, why other rows are not, and for benchmarks both passages
/// side by side.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// An artifact folder or one of its files, a folder of prepared rows, a headerless .bin, a pair of row files, or a
    /// training run
    path: PathBuf,

    /// The file of the page
    #[arg(long, short, default_value = "report.html", value_name = "FILE")]
    out: PathBuf,

    /// Show N documents or rows of each split as text
    #[arg(long, allow_negative_numbers = true, default_value_t = 4, value_name = "N")]
    decode: usize,

    /// The seed of that choice
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SEED", value_parser = crate::number::whole)]
    sample: u64,

    /// A training run to show, in addition to those found next to the artifact
    #[arg(long, value_name = "DIR")]
    run: Vec<PathBuf>,

    /// The width of the ids of a headerless .bin
    #[arg(long, value_enum, default_value_t = Dtype::U16)]
    dtype: Dtype,

    /// The row length of `-inputs.bin` and `-labels.bin` without a manifest [default: from the file
    /// name]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = crate::number::length)]
    row_len: Option<u32>,

    /// The tokenizer that made the ids [default: found by the manifest]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata report data/tokens -o report.html
  ratdata report data/clean -o clean.html
  ratdata report data/packed --run runs/rat-tiny -o packed.html";

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    page: PathBuf,
    bytes: u64,
    samples: usize,
    runs: usize,
}

/// Runs the command.
pub(crate) fn report(ui: &Ui, args: &ReportArgs) -> Result<(), Failure> {
    if !args.path.exists() {
        return Err(Failure::message(Kind::Failed, format!("{}: not there", args.path.display())));
    }
    let prepared = Prepared::read(&args.path).map_err(|wrong| refused(&wrong))?;
    if let Some(prepared) = prepared {
        let page = Page::begin(&args.out)?;
        return write(ui, page, &Report::of_prepared(&args.path, &prepared)?, &args.out);
    }
    let path = artifact_of(&args.path)?;
    let mut runs = args.run.clone();
    if is_run(&args.path) {
        runs.insert(0, args.path.clone());
    }
    if let Some(run) = runs.iter().find(|run| !is_run(run)) {
        let message = format!("{}: no training run, it has no metrics.jsonl", run.display());
        return Err(Failure::message(Kind::Usage, message));
    }
    if path.is_dir() && !path.join(MANIFEST_FILE).is_file() {
        let message = format!("{}: no artifact, it has no {MANIFEST_FILE}", path.display());
        return Err(Failure::message(Kind::Failed, message));
    }
    // What cannot be written is told before everything is read.
    let page = Page::begin(&args.out)?;
    let subject = Subject::of(&path, args.dtype, args.row_len)?;
    let tokenizer =
        find_tokenizer(ui, args.tokenizer.as_deref(), subject.tokenizer(), subject.path())?;
    if tokenizer.is_none() {
        ui.warn("no tokenizer was found, so no text is shown; name it with `--tokenizer`");
    }
    let report = Report::of(&Wanted {
        path: &path,
        subject: &subject,
        tokenizer: tokenizer.as_ref(),
        samples: args.decode,
        seed: args.sample,
        runs: &runs,
    })?;
    write(ui, page, &report, &args.out)
}

/// Writes the page.
fn write(ui: &Ui, page: Page, report: &Report, out: &Path) -> Result<(), Failure> {
    let html = report.page()?;
    interrupt::check()?;
    page.write(html.as_bytes())?;
    let (samples, runs) = report.counts();
    ui.emit(&Written { page: out.to_owned(), bytes: html.len() as u64, samples, runs })
}

/// Where the page goes.
enum Page {
    /// A file, which appears whole.
    File(Box<StagedFile>),
    /// A pipe or a device, such as `/dev/stdout`.
    Stream(PathBuf),
}

impl Page {
    /// Claims the place of the page.
    fn begin(out: &Path) -> Result<Self, Failure> {
        if out.is_dir() {
            let message = format!("{}: is a folder, expected a file for the page", out.display());
            let hint = format!("`--out {}`", out.join("report.html").display());
            return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
        }
        // A link stays a link, and what it leads to is written.
        let real = out.canonicalize().unwrap_or_else(|_| out.to_owned());
        if fs::metadata(&real).is_ok_and(|there| !there.is_file()) {
            return Ok(Self::Stream(real));
        }
        let staged = StagedFile::create(&real).map_err(|wrong| refused(&wrong))?;
        Ok(Self::File(Box::new(staged)))
    }

    fn write(self, page: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(staged) => {
                let mut staged = *staged;
                staged.write(page).map_err(|wrong| refused(&wrong))?;
                staged.commit().map(drop).map_err(|wrong| refused(&wrong))
            }
            Self::Stream(path) => {
                let written = File::options()
                    .write(true)
                    .open(&path)
                    .and_then(|mut file| file.write_all(page));
                written.map_err(|source| match source.kind() {
                    io::ErrorKind::BrokenPipe => Failure::stdout(&source),
                    _ => refused(&ArtifactError::Io { path, source }),
                })
            }
        }
    }
}

fn refused(wrong: &ArtifactError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n{}, {} samples, {} training runs",
            self.page.display(),
            sized(self.bytes),
            self.samples,
            self.runs
        )
    }
}

//! `ratdata demo`: the main job on a corpus made on the spot.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ratdata_tokenize::corpus::{Job, JobConfig, Outcome, Progress};
use ratdata_tokenize::source::find_inputs;
use ratdata_tokenize::tokenizer::Tokenizer;

use serde::Serialize;

use super::tokenize::{TokenizeReport, job_failure};
use super::train::run_trainer;
use crate::demo::{train_tokenizer, write_corpus};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::progress::JobProgress;
use crate::ui::Ui;

/// Run the main job on a small corpus made on the spot
///
/// Writes a sample corpus as parquet in FineWeb-Edu's schema, trains a small tokenizer in Llama's
/// manner on it, tokenizes it into bins, and trains a tiny RAT model on them. Nothing is fetched,
/// and every run gives the same bytes.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata demo\n  ratdata demo --out target/demo --json")]
pub(crate) struct DemoArgs {
    /// The folder to work in
    #[arg(long, default_value = "target/demo", value_name = "DIR")]
    out: PathBuf,

    /// End with the tokens, and train no model on them
    #[arg(long)]
    no_train: bool,
}

/// Runs the command.
pub(crate) fn demo(ui: &Ui, args: &DemoArgs) -> Result<(), Failure> {
    ui.note("writing a sample corpus");
    let corpus = write_corpus(&args.out)?;
    ui.note("training a tokenizer on it");
    let path = train_tokenizer(&args.out, &corpus.sample)?;
    let begun = Instant::now();
    let tokenizer = Tokenizer::load(&path)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let files = find_inputs(&[corpus.folder.display().to_string()])
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let out = args.out.join("tokens");
    let config = JobConfig { name: "demo".into(), ..JobConfig::default() };
    ui.note("tokenizing");
    let outcome = Job::open(config, tokenizer, "demo", files, &out, true)
        .map_err(|wrong| job_failure(&wrong))?;
    let Outcome::Open(job) = outcome else {
        return Err(Failure::message(Kind::Failed, "a forced job found itself done"));
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let progress = Progress::default();
    JobProgress::start(ui, &progress, job.files())
        .watch(|| job.run(|_| true, threads, &progress, interrupt::flag()))
        .map_err(|wrong| job_failure(&wrong))?;
    let manifest = job.commit(interrupt::flag()).map_err(|wrong| job_failure(&wrong))?;
    let tokens = TokenizeReport::of(&out, &manifest, Some(begun.elapsed().as_secs_f64()));
    if !ui.json() || args.no_train {
        ui.emit(&tokens)?;
    }
    ui.note(&format!(
        "\ncorpus     {}\ntokenizer  {}\ntokens     {}\nread them: np.memmap(\"{}\", dtype=np.uint16)",
        corpus.folder.display(),
        path.display(),
        out.display(),
        out.join("shards/demo-train-000_00000.bin").display(),
    ));
    if args.no_train {
        return Ok(());
    }
    ui.note("\ntraining a tiny model on them");
    let printed = train(ui, &args.out, &out, manifest.tokenizer.vocab_size)?;
    if ui.json() {
        let wrong = |_| Failure::message(Kind::Failed, "the trainer printed no JSON");
        let model = printed.map(|text| serde_json::from_str(text.trim())).transpose();
        let model = model.map_err(wrong)?;
        return ui.emit(&DemoReport { tokens, model });
    }
    Ok(())
}

/// What the demo has made, as JSON.
#[derive(Serialize)]
struct DemoReport {
    #[serde(flatten)]
    tokens: TokenizeReport,
    /// The trainer's own summary, where there is a trainer.
    model: Option<serde_json::Value>,
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.fmt(f)
    }
}

/// Trains the experiment `demo` on the tokens, in a folder made anew; returns the summary as JSON
/// where that is wanted, and prints it otherwise.
fn train(
    ui: &Ui,
    folder: &Path,
    tokens: &Path,
    vocab_size: u32,
) -> Result<Option<String>, Failure> {
    let run = folder.join("model");
    if run.is_dir() {
        std::fs::remove_dir_all(&run).map_err(|wrong| {
            Failure::message(Kind::Failed, format!("{}: cannot remove: {wrong}", run.display()))
        })?;
    }
    let vocab = format!("model.vocab_size={vocab_size}");
    let mut arguments: Vec<OsString> = vec!["demo".into(), "--data".into(), tokens.into()];
    arguments.extend(["--out".into(), run.into(), "--set".into(), vocab.into()]);
    // The same bytes everywhere, where there is a GPU too.
    arguments.extend(["--device".into(), "cpu".into()]);
    if ui.quiet() {
        arguments.push("--quiet".into());
    }
    if ui.json() {
        arguments.push("--json".into());
    }
    run_trainer(ui, &arguments, ui.json())
}

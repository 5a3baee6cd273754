//! `ratdata demo`: the main job on a corpus made on the spot.

use std::path::PathBuf;
use std::time::Instant;

use ratdata_tokenize::corpus::{Job, JobConfig, Outcome, Progress};
use ratdata_tokenize::source::find_inputs;
use ratdata_tokenize::tokenizer::Tokenizer;

use super::tokenize::{TokenizeReport, job_failure};
use crate::demo::{train_tokenizer, write_corpus};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::progress::JobProgress;
use crate::ui::Ui;

/// Run the main job on a small corpus made on the spot
///
/// Writes a sample corpus as parquet in FineWeb-Edu's schema, trains a small tokenizer in Llama's
/// manner on it, and tokenizes it into bins. Nothing is fetched, and every run gives the same bytes.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata demo\n  ratdata demo --out target/demo --json")]
pub(crate) struct DemoArgs {
    /// The folder to work in
    #[arg(long, default_value = "target/demo", value_name = "DIR")]
    out: PathBuf,
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
    ui.emit(&TokenizeReport::of(&out, &manifest, Some(begun.elapsed().as_secs_f64())))?;
    ui.note(&format!(
        "\ncorpus     {}\ntokenizer  {}\ntokens     {}\nread them: np.memmap(\"{}\", dtype=np.uint16)",
        corpus.folder.display(),
        path.display(),
        out.display(),
        out.join("shards/demo-train-000_00000.bin").display(),
    ));
    Ok(())
}

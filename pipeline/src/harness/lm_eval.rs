//! The harness's process: whether it is installed, what it is asked, and what it leaves.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ratdata_schemas::{ArtifactError, write_bytes, write_json};
use ratdata_tokenize::tokenizer::Tokenizer;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use super::scores::HarnessScores;
use super::server::{Served, Server};
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::ui::Ui;

/// How often a wait checks for a signal.
const TICK: Duration = Duration::from_millis(100);

/// What a harness that failed has said.
const LOG_FILE: &str = "lm_eval.log";

const INSTALL: &str = "`pip install lm_eval==0.4.13 requests aiohttp tenacity` in a virtual environment, and name it \
    with `--python VENV`";

/// What is asked of the harness.
#[derive(Debug)]
pub(crate) struct HarnessOptions<'a> {
    /// A virtual environment, or a Python.
    pub(crate) python: &'a Path,
    pub(crate) tasks: &'a [String],
    /// A folder with tasks of the user.
    pub(crate) include: Option<&'a Path>,
    /// How many tokens RULER's prompts have.
    pub(crate) ruler_lengths: &'a [usize],
    pub(crate) limit: Option<usize>,
    /// How many tokens a prompt and its answer have.
    pub(crate) context: usize,
    /// How many prompts a request has.
    pub(crate) batch: usize,
    /// The words of `ratdata serve`.
    pub(crate) serve: Vec<OsString>,
}

/// Serves the model, lets the harness ask it, and files what it found in `out`: `scores.json`, and the rows
/// of each task in `samples_TASK.jsonl`.
///
/// # Errors
///
/// The harness is not installed, the server does not start, or the harness fails.
pub(crate) fn evaluate(
    ui: &Ui,
    options: &HarnessOptions<'_>,
    tokenizer: &Tokenizer,
    out: &Path,
) -> Result<HarnessScores, Failure> {
    let python = python_of(options.python);
    let harness = format!("lm-eval {}", version(&python)?);
    let work =
        tempfile::tempdir().map_err(|wrong| failed(&format!("no folder to work in: {wrong}")))?;
    let server = Server::start(&options.serve)?;
    ui.note(&format!("{harness} asks {}", server.served().url));
    let log = work.path().join("log");
    let file = File::create(&log).map_err(|wrong| failed(&wrong.to_string()))?;
    let results = work.path().join("results");
    let mut command = Command::new(&python);
    command.args(options.words(server.served(), tokenizer, &results));
    // The server listens on this machine and has no key: the user's is none of its business.
    command.env("OPENAI_API_KEY", "none").env("TOKENIZERS_PARALLELISM", "false");
    command.stdin(Stdio::null()).process_group(0);
    command.stderr(file.try_clone().map_err(|wrong| failed(&wrong.to_string()))?).stdout(file);
    let status = wait(command.spawn().map_err(|wrong| cannot_start(&python, &wrong))?)?;
    drop(server);
    if !status.success() {
        return Err(ended_badly(&fs::read(&log).unwrap_or_default(), out));
    }
    let scores = file_results(&harness, &results, out)?;
    if scores.is_empty() {
        return Err(failed("the harness has no score for these tasks"));
    }
    Ok(scores)
}

impl HarnessOptions<'_> {
    /// Returns the words behind the Python.
    fn words(&self, served: &Served, tokenizer: &Tokenizer, results: &Path) -> Vec<OsString> {
        let mut model = format!(
            "model={},base_url={}/v1/completions,max_length={}",
            served.name, served.url, self.context
        );
        // Texts without context begin with EOS: our models have not seen a BOS.
        if let Some(eos) = tokenizer.eos() {
            model.push_str(&format!(",custom_prefix_token_id={eos}"));
        }
        let batch = self.batch.to_string();
        let mut words: Vec<OsString> =
            ["-m", "lm_eval", "run", "--model", "local-completions", "--model_args", &model]
                .map(OsString::from)
                .to_vec();
        words.extend(["--tasks".into(), self.tasks.join(",").into()]);
        words.extend(["--batch_size".into(), batch.into()]);
        words.extend(["--output_path".into(), results.into(), "--log_samples".into()]);
        if let Some(include) = self.include {
            words.extend(["--include_path".into(), include.into()]);
        }
        if let Some(limit) = self.limit {
            words.extend(["--limit".into(), limit.to_string().into()]);
        }
        if !self.ruler_lengths.is_empty() {
            let path = tokenizer.path();
            let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
            let told = json!({"max_seq_lengths": self.ruler_lengths, "tokenizer": folder});
            words.extend(["--metadata".into(), told.to_string().into()]);
        }
        words
    }
}

/// Returns the Python of a virtual environment, or the program itself.
fn python_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("bin/python") } else { path.to_owned() }
}

/// Returns the harness's version, which says that it is installed.
fn version(python: &Path) -> Result<String, Failure> {
    let script = "import importlib.metadata as m; print(m.version('lm_eval'))";
    let output = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .map_err(|wrong| cannot_start(python, &wrong))?;
    if !output.status.success() {
        let message = format!("{}: has no lm_eval", python.display());
        return Err(Failure::message(Kind::Usage, message).hinted(Some(INSTALL)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cannot_start(python: &Path, wrong: &std::io::Error) -> Failure {
    let message = format!("{}: cannot start: {wrong}", python.display());
    Failure::message(Kind::Usage, message).hinted(Some(INSTALL))
}

fn failed(why: &str) -> Failure {
    Failure::message(Kind::Failed, format!("lm_eval: {why}"))
}

/// The failure of a harness that has ended: its last line, which says what went wrong. All that it said goes
/// into a file.
fn ended_badly(said: &[u8], out: &Path) -> Failure {
    let text = String::from_utf8_lossy(said);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let failure = failed(&format!("the harness failed: {}", last.trim()));
    let path = out.join(LOG_FILE);
    match write_bytes(&path, said) {
        Ok(()) => failure.hinted(Some(format!("{} has all that it said", path.display()))),
        Err(_) => failure,
    }
}

/// Waits for a process, which ends with this program.
fn wait(mut child: Child) -> Result<std::process::ExitStatus, Failure> {
    loop {
        if let Err(interrupted) = interrupt::check() {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            drop(child.wait());
            return Err(interrupted);
        }
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => std::thread::sleep(TICK),
            Err(wrong) => return Err(failed(&wrong.to_string())),
        }
    }
}

/// Writes the scores and the rows that the harness left in `results` under names without a time.
fn file_results(harness: &str, results: &Path, out: &Path) -> Result<HarnessScores, Failure> {
    let mut found = Vec::new();
    files_below(results, &mut found).map_err(|wrong| failed(&wrong.to_string()))?;
    found.sort();
    let mut scores = None;
    for path in found {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).map_err(|wrong| failed(&wrong.to_string()))?;
        if name.starts_with("results_") {
            let read = HarnessScores::read(harness.to_owned(), &bytes);
            scores = Some(read.map_err(|wrong| failed(&format!("{name}: {wrong}")))?);
        } else if let Some((task, _)) =
            name.rsplit_once('_').filter(|_| name.starts_with("samples_"))
        {
            write_bytes(&out.join(format!("{task}.jsonl")), &bytes)
                .map_err(|wrong| refused(&wrong))?;
        }
    }
    let scores = scores.ok_or_else(|| failed("left no results"))?;
    write_json(&out.join("scores.json"), &scores).map_err(|wrong| refused(&wrong))?;
    Ok(scores)
}

fn refused(wrong: &ArtifactError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files_below(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

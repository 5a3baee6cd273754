//! `ratdata logs`: what a step said when it last ran.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use ratdata_schemas::open_regular;

use crate::arguments::{PipelineArgs, Program, check_store};
use crate::dag::error::pipeline_failure;
use crate::executor::running_step::as_drawn;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::store::Store;
use crate::ui::Ui;

/// Print the last log of a step
///
/// Prints the newest log of the step or of each of its shares, and the output of the cluster's
/// jobs.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata logs tokens\n  ratdata logs tiny tokens")]
pub(crate) struct LogsArgs {
    /// The step, after its pipeline if that is not `pipeline.toml`
    #[arg(value_names = ["PIPELINE", "STEP"], num_args = 1..=2, required = true)]
    words: Vec<String>,

    /// The folder of results [default: the pipeline's, or `.ratdata/store` next to it]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,

    /// Print the paths of the logs instead of their text
    #[arg(long)]
    paths: bool,
}

/// Runs the command.
pub(crate) fn logs(args: &LogsArgs, program: Program) -> Result<(), Failure> {
    let (pipeline, step) = match args.words.as_slice() {
        [step] => ("pipeline.toml", step),
        [pipeline, step, ..] => (pipeline.as_str(), step),
        [] => return Err(Failure::message(Kind::Usage, "expected a step")),
    };
    let (pipeline, store) = PipelineArgs::at(pipeline, args.store.clone()).read(program)?;
    check_store(&store)?;
    pipeline.step(step).map_err(|wrong| pipeline_failure(&wrong))?;
    let found = newest(&store, &pipeline.identity, step);
    if found.is_empty() {
        let message = format!("step `{step}` has no log in {}", store.root().display());
        return Err(Failure::message(Kind::Failed, message)
            .hinted(Some("a step has one once it was run, and none where its result was there")));
    }
    for path in &found {
        if args.paths {
            Ui::print(&path.display().to_string())?;
            continue;
        }
        if found.len() > 1 {
            Ui::print(&format!("==> {} <==", path.display()))?;
        }
        print(path)?;
    }
    Ok(())
}

/// Returns the newest log of each name that a step's logs have.
fn newest(store: &Store, pipeline: &Path, step: &str) -> Vec<PathBuf> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for run in store.runs_of(pipeline) {
        for entry in fs::read_dir(&run).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(kind) = log_of(&name, step) {
                found.entry(kind.to_owned()).or_insert_with(|| entry.path());
            }
        }
    }
    found.into_values().collect()
}

/// Returns what stays the same in the names of one log over all runs, where it is the step's.
///
/// A step's log is `STEP.log`, a share's `STEP.I.log`, a job's `slurm-STEP-JOB.out`.
fn log_of<'a>(name: &'a str, step: &str) -> Option<&'a str> {
    if let Some(rest) = name.strip_prefix("slurm-") {
        let rest = rest.strip_suffix(".out")?.strip_prefix(step)?.strip_prefix('-')?;
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        return match rest.split_once('_') {
            Some((job, task)) if digits(job) && digits(task) => {
                Some(&name[name.len() - 4 - task.len()..])
            }
            None if digits(rest) => Some("job"),
            _ => None,
        };
    }
    let share = name.strip_suffix(".log")?.strip_prefix(step)?;
    let plain = share.is_empty()
        || share.strip_prefix('.').is_some_and(|share| share.chars().all(|c| c.is_ascii_digit()));
    plain.then_some(name)
}

fn print(path: &Path) -> Result<(), Failure> {
    let wrong = |wrong| Failure::message(Kind::Failed, format!("{}: {wrong}", path.display()));
    let mut file = open_regular(path).map_err(wrong)?;
    if !io::stdout().is_terminal() {
        let mut block = vec![0; 1 << 18];
        loop {
            interrupt::check()?;
            let read = file.read(&mut block).map_err(wrong)?;
            if read == 0 {
                return Ok(());
            }
            io::stdout()
                .lock()
                .write_all(&block[..read])
                .map_err(|wrong| Failure::stdout(&wrong))?;
        }
    }
    // What a step wrote need not be meant for this terminal.
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(wrong)? > 0 {
        interrupt::check()?;
        Ui::print(&as_drawn(&String::from_utf8_lossy(&line)))?;
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::log_of;

    #[test]
    fn a_log_is_its_steps_alone() {
        assert_eq!(log_of("tokens.log", "tokens"), Some("tokens.log"));
        assert_eq!(log_of("tokens.3.log", "tokens"), Some("tokens.3.log"));
        assert_eq!(log_of("slurm-tokens-17.out", "tokens"), Some("job"));
        assert_eq!(log_of("slurm-tokens-17_4.out", "tokens"), Some("4.out"));
        assert_eq!(log_of("tokens-2.log", "tokens"), None);
        assert_eq!(log_of("slurm-tokens-2-17.out", "tokens"), None);
        assert_eq!(log_of("events.jsonl", "events"), None);
    }
}

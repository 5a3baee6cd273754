//! The arguments of the command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use ratdata_train::cost::GpuModel;
use ratdata_train::device::DeviceChoice;
use ratdata_train::experiment::PROJECT_FILE;
use toml::{Table, Value};

use super::failure::Failure;

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 failed, 2 usage or configuration, 130 interrupted. \
A stopped run resumes with --resume.";

/// Train a model on token bins
///
/// CONFIG is a TOML file or the name of an experiment that is compiled in. Without it, the
/// experiment that `ratdata.toml` names is trained, or the experiments are listed.
#[derive(Debug, Parser)]
#[command(name = "ratdata-train", bin_name = "ratdata train", version, after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Args {
    /// The experiment: a TOML file or a name, such as `tiny-rat`
    #[arg(value_name = "CONFIG")]
    config: Option<String>,

    /// What to train on: an artifact of `tokenize`, `sft` or `pack`, or a headerless bin
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) data: Option<PathBuf>,

    /// The run's folder [default: runs/NAME]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,

    /// Set a key of the experiment, such as `training.iterations=100`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Where to compute: `auto`, `cpu`, `cuda[:N]` or `wgpu[:N]`; several, with commas, share each batch
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_delimiter = ',')]
    pub(crate) device: Vec<DeviceChoice>,

    /// Resume from the newest checkpoint of the run's folder, if there is one
    #[arg(long)]
    pub(crate) resume: bool,

    /// Check the data and say what the run would do, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// With `--dry-run`, predict the speed on a GPU: `h100`, `h200`, `a100`, `l40s` or `4090`
    #[arg(long, value_name = "NAME", requires = "dry_run")]
    pub(crate) gpu: Option<GpuModel>,

    /// Say where the sequences of an iteration are on disk, and train nothing
    #[arg(long, value_name = "ITERATION", conflicts_with = "dry_run")]
    pub(crate) draws: Option<u64>,

    /// Print the result as JSON, on the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the result and errors alone, no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What the command line asks to train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The experiment of this name or file.
    Experiment(String),
    /// Nothing: the experiments are listed.
    List,
}

impl Args {
    /// Returns the experiment that the command line or else the project's file names.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        if let Some(config) = &self.config {
            return Ok(Wanted::Experiment(config.clone()));
        }
        let path = Path::new(PROJECT_FILE);
        if !path.is_file() {
            return Ok(Wanted::List);
        }
        let refuse = |why: String| Failure::usage(format!("{PROJECT_FILE}: {why}"));
        let text = std::fs::read_to_string(path).map_err(|wrong| refuse(wrong.to_string()))?;
        let table: Table = text.parse().map_err(|wrong| refuse(format!("{wrong}")))?;
        match table.get("experiment") {
            Some(Value::String(name)) => Ok(Wanted::Experiment(name.clone())),
            Some(other) => {
                let found = other.type_str();
                Err(refuse(format!("`experiment` is {found}, expected a name or a TOML file")))
            }
            // The project's file can be an experiment itself.
            None if table.contains_key("model") => Ok(Wanted::Experiment(PROJECT_FILE.to_owned())),
            None => Ok(Wanted::List),
        }
    }
}

//! How texts are generated, and what of it decides their bytes.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::{Checksum, Sampling};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::interrupt;

/// The weights in the folder of a run or a checkpoint.
const WEIGHTS: &str = "model.safetensors";

/// How texts are generated.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The folder of a run or a checkpoint.
    pub(crate) run: PathBuf,
    /// How many tokens a text has at most, where somebody says.
    pub(crate) max_new: Option<usize>,
    pub(crate) sampling: Sampling,
    /// A text ends before any of these.
    pub(crate) stops: Vec<String>,
    /// How many prompts the model continues at a time.
    pub(crate) batch: usize,
    pub(crate) device: String,
    /// Whether sequences may be longer than in training.
    pub(crate) grows: bool,
}

impl Settings {
    /// Takes the most likely token, as many as the task says, until EOS.
    pub(crate) fn greedy(run: &Path, batch: usize, device: &str, grows: bool) -> Self {
        Self {
            run: run.to_owned(),
            max_new: None,
            sampling: Sampling::default(),
            stops: Vec::new(),
            batch,
            device: device.to_owned(),
            grows,
        }
    }

    /// How many tokens are generated where nobody says, at most.
    const NEW_TOKENS: usize = 128;

    /// Returns how many tokens a text has at most: as the user or the task says, or as many as fit
    /// after a prompt of `len` tokens in a sequence of the model.
    pub(super) fn new_tokens(&self, of_task: Option<usize>, len: usize, longest: usize) -> usize {
        let room = longest.saturating_sub(len).max(1);
        self.max_new.or(of_task).unwrap_or(Self::NEW_TOKENS.min(room))
    }

    /// Returns how tokens are chosen in a stream of the seed.
    pub(super) fn sampling(&self, stream: u64) -> Sampling {
        Sampling { stream, ..self.sampling }
    }

    /// Returns how many tokens a sequence of training has, where the run says.
    pub(crate) fn seq_len(&self) -> Option<usize> {
        usize::try_from(model_of(&self.run).get("seq_len")?.as_u64()?).ok()
    }

    /// Returns what decides the bytes of texts, other than their prompts and the tokenizer.
    pub(super) fn recipe(&self, of_task: Option<usize>) -> Result<Value, Failure> {
        Ok(json!({
            "version": 1,
            "model": model_of(&self.run),
            "weights": self.weights()?,
            "max_new": self.max_new.or(of_task),
            "sampling": self.sampling,
            "stop": self.stops,
            "grow": self.grows,
        }))
    }

    /// Returns the checksum of the weights that the trainer takes: the newest checkpoint's.
    fn weights(&self) -> Result<Checksum, Failure> {
        let entries = fs::read_dir(self.run.join("checkpoints"));
        let whole = |path: &PathBuf| path.extension().is_none() && path.join(WEIGHTS).is_file();
        let checkpoints = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        let newest = checkpoints.filter(whole).max().unwrap_or_else(|| self.run.clone());
        let path = newest.join(WEIGHTS);
        Checksum::of_file(&path, interrupt::flag()).map_err(|wrong| {
            if let Err(interrupted) = interrupt::check() {
                return interrupted;
            }
            let message = format!("{}: no trained model: {wrong}", path.display());
            Failure::message(Kind::Usage, message).hinted(Some(RUN_HINT))
        })
    }
}

/// What a user can do where there is no run.
pub(crate) const RUN_HINT: &str = "name the folder of `ratdata train`, such as runs/tiny-rat";

/// Returns the model's section of the experiment of a run or a checkpoint; the trainer checks it.
fn model_of(run: &Path) -> Value {
    let resolved = fs::read_to_string(run.join("resolved.toml")).ok();
    let resolved = resolved.and_then(|text| text.parse::<toml::Table>().ok());
    let of_run = resolved.and_then(|table| serde_json::to_value(table.get("model")?).ok());
    let record = || fs::read(run.join("checkpoint.json")).ok();
    let of_checkpoint = || {
        let record: Value = serde_json::from_slice(&record()?).ok()?;
        record.pointer("/experiment/model").cloned()
    };
    of_run.or_else(of_checkpoint).unwrap_or_default()
}

//! An experiment: everything that decides a run except the content of its data and the device.

mod provenance;
mod read;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use read::{ExperimentError, NamedExperiment, PROJECT_FILE, find, names};

use crate::convert::non_zero;
use crate::data::DataConfig;
use crate::model::ModelConfig;
use crate::optim::{OptimizerConfig, ScheduleConfig};

/// Configures a run; `resolved.toml` in a run's folder is this, written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The model.
    pub model: ModelConfig,
    /// The data, and its order.
    #[serde(default)]
    pub data: DataConfig,
    /// Batches, length, validation and checkpoints.
    #[serde(default)]
    pub training: TrainingConfig,
    /// `AdamW` and the clipping before it.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// The schedule of learning rates.
    #[serde(default)]
    pub schedule: ScheduleConfig,
}

/// Configures the loop.
///
/// A run ends at the first of `iterations`, `tokens` and `epochs` that is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Iterations: updates by the optimizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Tokens, rounded down to whole iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Passes over the data, rounded down to whole iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Sequences in an iteration.
    pub global_batch: NonZeroUsize,
    /// Sequences that go through the model together; the gradients of an iteration are added up.
    pub micro_batch: NonZeroUsize,
    /// Whether the backward pass computes each block again instead of keeping what it computed.
    /// That takes memory for one block instead of all, and about a third more time.
    pub recompute: bool,
    /// The type in which the layers compute: bf16 on a GPU and f32 on a CPU where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<crate::model::Precision>,
    /// The seed of the initial weights.
    pub seed: u64,
    /// Iterations between two lines of metrics.
    pub log_every: NonZeroU64,
    /// How often a run validates, its end included.
    pub validations: NonZeroU64,
    /// Iterations between two validations; where it is given, `validations` counts for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<NonZeroU64>,
    /// Sequences of each source's validation part that are read, at most; all where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_sequences: Option<NonZeroU64>,
    /// How often a run keeps a checkpoint, its end included.
    pub checkpoints: NonZeroU64,
    /// How many checkpoints stay: the newest ones.
    pub keep: NonZeroUsize,
    /// Weights to begin with: a run, a checkpoint, a `.safetensors`, or a PyTorch checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// The key under which a PyTorch checkpoint keeps its state dict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_key: Option<String>,
    /// Whether metrics also go to Weights & Biases: to files that `wandb sync` takes, or to its server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wandb: Option<WandbMode>,
    /// The Python that has `wandb`; `python3` where not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wandb_python: Option<PathBuf>,
    /// The peak of a GPU in 10^12 dense operations a second, which MFU is relative to.
    pub peak_tflops: f64,
}

/// Where metrics for Weights & Biases go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WandbMode {
    /// To files in the run's folder.
    Offline,
    /// To the server.
    Online,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            iterations: None,
            tokens: None,
            epochs: None,
            global_batch: non_zero!(512),
            micro_batch: non_zero!(8),
            recompute: false,
            precision: None,
            seed: 1005,
            log_every: NonZeroU64::MIN.saturating_add(99),
            validations: NonZeroU64::MIN.saturating_add(9),
            validate_every: None,
            validation_sequences: None,
            checkpoints: NonZeroU64::MIN.saturating_add(9),
            keep: non_zero!(2),
            init_from: None,
            init_key: None,
            wandb: None,
            wandb_python: None,
            peak_tflops: 989.0,
        }
    }
}

//! What a run reads, and in which order: the `[data]` section of an experiment.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use ratdata_schemas::{Dtype, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::order::Order;

/// Configures the data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The artifact or headerless bin to train on; `--data` names it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Several of them, by names of their own, instead of `path`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceConfig>,
    /// In which order sequences are drawn.
    pub order: Order,
    /// The seed of the orders `random` and `shuffled`, and of the choice between sources.
    pub seed: u64,
    /// Contiguous shares of the order `ordered` that advance side by side.
    pub shares: NonZeroU64,
    /// The end-of-text id of a headerless bin, after which nothing is learnt.
    pub eos: TokenId,
    /// The width of the ids of a headerless bin.
    pub dtype: Dtype,
    /// Whether documents that share a packed row see each other (`false`) or not (`true`).
    pub document_mask: bool,
    /// Batches that are prepared ahead.
    pub prefetch: NonZeroUsize,
}

/// Configures one source of a mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The artifact or headerless bin.
    pub path: PathBuf,
    /// Its part of the sequences, relative to the other sources'.
    pub weight: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: None,
            sources: BTreeMap::new(),
            order: Order::default(),
            seed: 1005,
            shares: NonZeroU64::MIN,
            eos: 2,
            dtype: Dtype::U16,
            document_mask: true,
            prefetch: NonZeroUsize::MIN.saturating_add(1),
        }
    }
}

//! The `[data]` section of an experiment: what a run reads, and in which order.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use ratdata_schemas::{Dtype, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sampler::Order;

/// Configures the data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The artifact or headerless bin to train on; `--data` names it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Several sources by their names, instead of `path`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceConfig>,
    /// The order in which sequences are drawn.
    pub order: Order,
    /// The seed of the orders `random` and `shuffled`, and of the choice between sources.
    pub seed: u64,
    /// Contiguous shares of the order `ordered`, which advance in turn.
    pub shares: NonZeroU64,
    /// The end-of-text id of a headerless bin; no label follows it.
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
    /// Its share of the sequences, relative to the weights of the other sources.
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

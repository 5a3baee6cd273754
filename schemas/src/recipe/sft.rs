//! The recipe of `sft`: the task, and how its examples become rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::preference::PreferenceCounts;
use super::task::{Task, Truncate};
use crate::checksum::Checksum;

/// The settings of a job over instruction data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sft {
    /// The task, without the folders of this machine.
    pub task: Task,
    /// The number of tokens of a row.
    pub max_length: u32,
    /// How an example that is longer than its row is cut.
    pub truncate: Truncate,
    /// What is written.
    pub form: Form,
    /// Whether rows that cannot be used are left out, and counted.
    pub skip_bad_rows: bool,
    /// The checksum of the tokenizer's own chat template, if the task uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Checksum>,
    /// The splits that are made, in the order of their sources.
    pub splits: Vec<MadeSplit>,
}

/// What a job over instruction data writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The reference's pairs of inputs and labels.
    Pairs,
    /// Documents with a loss mask, to be packed.
    Documents,
}

/// A split that is made, and the files that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MadeSplit {
    /// Its name in the task.
    pub name: String,
    /// Its files.
    pub inputs: Vec<MadeFrom>,
    /// What became of its preference pairs, if the task has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceCounts>,
}

/// A file that a split was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MadeFrom {
    /// Its name.
    pub name: String,
    /// The checksum of its content.
    pub fingerprint: Checksum,
}

impl Sft {
    /// Returns what a split was made from, if it is made.
    pub fn made(&self, split: &str) -> Option<&[MadeFrom]> {
        let made = self.splits.iter().find(|made| made.name == split)?;
        Some(&made.inputs)
    }
}

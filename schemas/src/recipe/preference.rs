//! Preference pairs: a prompt with an answer that is preferred and one that is not.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The columns of preference pairs. Their values are texts, or conversations as lists of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// The column of the prompt. Without it, a column `prompt` is read if there is one, and otherwise the
    /// prompt is what both answers begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The column of the answer that is preferred.
    #[serde(default = "default_chosen")]
    pub chosen: String,
    /// The column of the other answer.
    #[serde(default = "default_rejected")]
    pub rejected: String,
}

fn default_chosen() -> String {
    Side::Chosen.to_string()
}

fn default_rejected() -> String {
    Side::Rejected.to_string()
}

/// One of the two answers of a preference pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The answer that is preferred.
    Chosen,
    /// The other one.
    Rejected,
}

impl Side {
    /// Both sides, in the order of their splits.
    pub const ALL: [Self; 2] = [Self::Chosen, Self::Rejected];

    /// Returns the name of a split's side in an artifact, such as `train-chosen`.
    pub fn split(self, split: &str) -> String {
        format!("{split}-{self}")
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chosen => "chosen",
            Self::Rejected => "rejected",
        })
    }
}

impl Preference {
    /// Returns the column of a side.
    pub fn column(&self, side: Side) -> &str {
        match side {
            Side::Chosen => &self.chosen,
            Side::Rejected => &self.rejected,
        }
    }
}

/// What became of the preference pairs of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceCounts {
    /// Pairs that are in the artifact.
    pub kept: u64,
    /// Of them, those whose prompt is cut.
    pub cut_prompts: u64,
    /// Of them, those of which an answer is cut at its end.
    pub cut_answers: u64,
    /// Pairs left out since they are longer than a row.
    pub too_long: u64,
    /// Pairs left out since an answer alone fills a row.
    pub too_long_answers: u64,
    /// Pairs left out since the prompt alone fills a row.
    pub too_long_prompts: u64,
}

impl PreferenceCounts {
    /// Returns how many pairs were left out for their length.
    pub fn left_out(&self) -> u64 {
        [self.too_long, self.too_long_answers, self.too_long_prompts]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

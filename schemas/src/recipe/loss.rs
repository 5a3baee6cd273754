//! What of a conversation is trained on: whose turns, and without which parts.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The role of the turns that are trained on by default.
const ASSISTANT: &str = "assistant";

/// Whose turns are trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum LossOn {
    /// All turns of the assistant: `all`.
    #[default]
    All,
    /// The assistant's last turn: `last`.
    Last,
    /// All turns of these roles: `assistant,tool`.
    Roles(Vec<String>),
}

/// Why a text names no turns.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{found}`, expected `all`, `last`, or roles such as `assistant,tool`")]
pub struct LossOnError {
    found: String,
}

impl LossOn {
    /// Returns whether the turns of a role may be trained on.
    pub fn is_of(&self, role: &str) -> bool {
        match self {
            Self::All | Self::Last => role == ASSISTANT,
            Self::Roles(roles) => roles.iter().any(|named| named == role),
        }
    }

    /// Returns whether only the assistant's turns are trained on.
    pub fn is_of_the_assistant(&self) -> bool {
        match self {
            Self::All | Self::Last => true,
            Self::Roles(roles) => roles.iter().all(|role| role == ASSISTANT),
        }
    }
}

impl FromStr for LossOn {
    type Err = LossOnError;

    fn from_str(text: &str) -> Result<Self, LossOnError> {
        match text {
            "all" => return Ok(Self::All),
            "last" => return Ok(Self::Last),
            _ => {}
        }
        let roles: Vec<String> = text.split(',').map(|role| role.trim().to_owned()).collect();
        let is_role = |role: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !role.is_empty() && role.chars().all(plain) && role != "all" && role != "last"
        };
        let known = roles.iter().all(is_role);
        known.then_some(Self::Roles(roles)).ok_or_else(|| LossOnError { found: text.to_owned() })
    }
}

impl TryFrom<String> for LossOn {
    type Error = LossOnError;

    fn try_from(text: String) -> Result<Self, LossOnError> {
        text.parse()
    }
}

impl From<LossOn> for String {
    fn from(on: LossOn) -> Self {
        on.to_string()
    }
}

impl fmt::Display for LossOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Last => f.write_str("last"),
            Self::Roles(roles) => f.write_str(&roles.join(",")),
        }
    }
}

/// A part of a turn that is not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum LossWithout {
    /// What the assistant thinks before it answers, such as `<think> … </think>`
    Thoughts,
    /// What it asks of tools, such as `<tool_call> … </tool_call>`
    ToolCalls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_named_and_written_back() {
        for text in ["all", "last", "assistant", "assistant,tool"] {
            assert_eq!(text.parse::<LossOn>().unwrap().to_string(), text);
        }
        assert!("assistant, tool".parse::<LossOn>().unwrap().is_of("tool"));
        for text in ["", "assistant,", "last,user", "a b"] {
            let said = text.parse::<LossOn>().unwrap_err().to_string();
            assert!(said.contains("expected `all`, `last`, or roles"), "{said}");
        }
    }
}

//! Fill in the middle: how documents are parted and put together, so that a model learns to fill gaps.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The settings of fill in the middle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fim {
    /// The share of documents that are parted.
    pub rate: f64,
    /// The share of these whose suffix comes first (SPM); the others have their prefix first (PSM).
    pub spm_rate: f64,
    /// The seed of the choice, and of the places where documents are parted.
    pub seed: u64,
    /// The tokens that stand before the parts.
    pub tokens: FimTokens,
}

/// The tokens that stand before the three parts of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FimTokens {
    /// Before the beginning of the document.
    pub prefix: String,
    /// Before the part that is filled in.
    pub middle: String,
    /// Before the end of the document.
    pub suffix: String,
}

/// Why a text names no tokens.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{found}`, expected three tokens, as in `<fim_prefix>,<fim_middle>,<fim_suffix>`")]
pub struct FimTokensError {
    found: String,
}

impl FromStr for FimTokens {
    type Err = FimTokensError;

    fn from_str(text: &str) -> Result<Self, FimTokensError> {
        let wrong = || FimTokensError { found: text.to_owned() };
        let [prefix, middle, suffix]: [&str; 3] =
            text.split(',').collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        let differ = prefix != middle && prefix != suffix && middle != suffix;
        if !differ || [prefix, middle, suffix].contains(&"") {
            return Err(wrong());
        }
        Ok(Self { prefix: prefix.into(), middle: middle.into(), suffix: suffix.into() })
    }
}

impl fmt::Display for FimTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, middle, suffix } = self;
        write!(f, "{prefix},{middle},{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_different_tokens_are_named() {
        let named: FimTokens = "<a>,<b>,<c>".parse().unwrap();

        assert_eq!((named.middle.as_str(), named.suffix.as_str()), ("<b>", "<c>"));
        assert_eq!(named.to_string(), "<a>,<b>,<c>");
        for wrong in ["", "<a>,<b>", "<a>,<b>,<c>,<d>", "<a>,<b>,<a>", "<a>,,<c>"] {
            let said = wrong.parse::<FimTokens>().unwrap_err().to_string();
            assert!(said.starts_with(&format!("found `{wrong}`, expected three tokens")), "{said}");
        }
    }
}

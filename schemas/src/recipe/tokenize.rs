//! The recipe of `tokenize`: the settings that decide its bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fim::Fim;
use crate::plain_name::PlainName;
use crate::records::TokenizerRecord;
use crate::token::Dtype;

/// The settings of a tokenize job: all of them, and nothing but what changes bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tokenize {
    /// What the files' names begin with.
    pub name: PlainName,
    /// The column or field that holds the text.
    pub text_column: String,
    /// The share of each file's documents that goes to `val`.
    pub val_fraction: f64,
    /// The seed of the split's permutation.
    pub split_seed: u64,
    /// The order of documents within a shard.
    pub order: Order,
    /// Whether the shards of a split become one file.
    pub merge: bool,
    /// Whether the end-of-text id follows each document, and which it is.
    pub eos: Edge,
    /// Whether the begin-of-text id precedes each document, and which it is.
    pub bos: Edge,
    /// How to read special tokens in the text.
    pub special_in_text: SpecialInText,
    /// The width of ids.
    pub dtype: DtypeChoice,
    /// At most this many documents, in the order of the input.
    pub limit_docs: Option<u64>,
    /// What becomes of rows without text.
    pub on_bad_row: OnBadRow,
    /// Which files of folders are the input, where those are not the training data.
    #[serde(default, skip_serializing_if = "SplitFiles::is_default")]
    pub split_files: SplitFiles,
    /// How documents are parted to fill in the middle, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fim: Option<Fim>,
}

impl Default for Tokenize {
    /// The reference's settings.
    fn default() -> Self {
        Self {
            name: PlainName::near("llama"),
            text_column: "text".into(),
            val_fraction: 0.005,
            split_seed: 1005,
            order: Order::Reference,
            merge: false,
            eos: Edge::Switch(true),
            bos: Edge::Switch(false),
            special_in_text: SpecialInText::Parse,
            dtype: DtypeChoice::Auto,
            limit_docs: None,
            on_bad_row: OnBadRow::Fail,
            split_files: SplitFiles::Train,
            fim: None,
        }
    }
}

/// What is put at one end of each document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Edge {
    /// Nothing, or the id that the tokenizer has for it.
    Switch(bool),
    /// The id of this token.
    Token(String),
}

impl Edge {
    /// Returns whether anything is put there.
    pub fn is_on(&self) -> bool {
        *self != Self::Switch(false)
    }
}

/// The order of documents within a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The order of the permutation that makes the split.
    Reference,
    /// The order of the file.
    File,
}

/// How to treat rows without text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OnBadRow {
    /// Fail at the first one.
    Fail,
    /// Leave them out and count them.
    Skip,
    /// Write U+FFFD for wrong bytes and lone surrogates, and count these rows; fail at rows that
    /// have no text.
    Replace,
}

/// The width of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum DtypeChoice {
    /// The narrowest that holds the vocabulary.
    Auto,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
}

/// How to read special tokens in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum SpecialInText {
    /// As their ids.
    #[default]
    Parse,
    /// As plain text.
    Plain,
    /// As an error.
    Error,
}

/// Which files of a folder, or of a data set on the hub, are read, by the split that their names
/// say. A file that is named by itself or by a pattern is read in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum SplitFiles {
    /// Files named after train, and files whose names say no split.
    #[default]
    Train,
    /// Files named after validation.
    Validation,
    /// Files named after test.
    Test,
    /// All files.
    All,
}

impl SplitFiles {
    /// Returns whether this is the default of a job.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_default(&self) -> bool {
        *self == Self::Train
    }
}

impl DtypeChoice {
    /// Returns the width for a vocabulary; none where it does not fit.
    pub fn resolve(self, tokenizer: &TokenizerRecord) -> Option<Dtype> {
        let narrowest = Dtype::for_vocab(tokenizer.vocab_size);
        match self {
            Self::Auto => Some(narrowest),
            Self::U16 => (narrowest == Dtype::U16).then_some(Dtype::U16),
            Self::U32 => Some(Dtype::U32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_names_the_files_of_other_splits_alone() {
        let config = Tokenize::default();
        let all = Tokenize { split_files: SplitFiles::All, ..Tokenize::default() };

        let written = serde_json::to_value(&config).unwrap();
        assert!(written.get("split_files").is_none(), "{written}");
        assert_eq!(serde_json::from_value::<Tokenize>(written).unwrap(), config);
        assert_eq!(serde_json::to_value(&all).unwrap()["split_files"], "all");
    }

    #[test]
    fn an_edge_is_a_switch_or_a_token() {
        let read = |text: &str| serde_json::from_str::<Edge>(text).unwrap();

        assert_eq!(read("true"), Edge::Switch(true));
        assert_eq!(read("\"<|fim|>\""), Edge::Token("<|fim|>".into()));
        assert!(!read("false").is_on() && read("\"x\"").is_on());
    }
}

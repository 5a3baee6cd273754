//! Recipes: which step made an artifact, with all settings that decide its bytes.
//!
//! ```text
//! Recipe -> Tokenize   tokenize.rs   with Fim (fim.rs), if documents are parted
//!        -> Sft        sft.rs        with its Task (task.rs): prompts (template.rs), conversations (chat.rs) or
//!                                    preference pairs (preference.rs)
//!        -> Pack       pack.rs
//!        -> Merge      here          with the recipes of its inputs
//!        -> Mix        here          with the recipes of its sources, and Amounts (amount.rs)
//!        -> Import     import.rs
//! manifest of format 1 -> Recipe     format_1.rs
//! ```
//!
//! A manifest stores its recipe under `recipe`, tagged by `kind`. A path in a recipe is never absolute.

mod amount;
mod chat;
mod date;
mod fim;
mod format_1;
mod import;
mod loss;
mod pack;
mod preference;
mod sft;
mod task;
mod template;
mod tokenize;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;
use crate::plain_name::PlainName;

pub use amount::{Amount, AmountError, MOST_EPOCHS, Take, count};
pub use chat::Chat;
pub use date::Date;
pub use fim::{Fim, FimTokens, FimTokensError};
pub(crate) use format_1::recipe_of_format_1;
pub use import::{Import, ImportLayout};
pub use loss::{LossOn, LossOnError, LossWithout};
pub use pack::{Algorithm, Long, Pack, PackConfig};
pub use preference::{Preference, PreferenceCounts, Side};
pub use sft::{Form, MadeFrom, MadeSplit, Sft};
pub use task::{Sample, Split, TASKS, Task, TaskError, Truncate, artifact_split};
pub use template::{Template, TemplateError, TemplatePart};
pub use tokenize::{DtypeChoice, Edge, OnBadRow, Order, SpecialInText, SplitFiles, Tokenize};

/// Which step made an artifact, with all settings that decide its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Recipe {
    /// Text became token bins.
    Tokenize(Tokenize),
    /// Instruction data became rows or documents.
    Sft(Sft),
    /// Documents of token bins became rows.
    Pack(Pack),
    /// Artifacts of token bins became one.
    Merge(Merge),
    /// Documents of artifacts of token bins became one, by budgets.
    Mix(Mix),
    /// Token bins of another tool became an artifact.
    Import(Import),
}

/// The artifacts that were joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// The artifacts, in the order of their tokens.
    pub inputs: Vec<MergedInput>,
}

/// What a joined artifact records of one of its inputs: enough to trace a document to its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergedInput {
    /// The checksum of its manifest.
    pub manifest: Checksum,
    /// Its name.
    pub name: String,
    /// How many of the sources are its own; they are in the order of the inputs.
    pub sources: usize,
    /// How many documents each of its splits has.
    pub documents: BTreeMap<String, u64>,
    /// How it was made.
    pub recipe: Recipe,
}

/// The settings of a mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// The split that the amounts are about; every other split has each document once.
    pub split: PlainName,
    /// The seed of the documents' order, and of the choice among them.
    pub seed: u64,
    /// How much all sources give together; none if each source says its own amount, or if the sources
    /// with a weight give as much as they can.
    pub total: Option<Amount>,
    /// How often a document may come where its source was not asked for epochs.
    pub max_epochs: f64,
    /// About how many tokens a shard has.
    pub shard_tokens: u64,
    /// The artifacts, in the order in which they were named.
    pub sources: Vec<MixedSource>,
}

/// What a mix records of one artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixedSource {
    /// The artifact.
    pub input: MergedInput,
    /// How much of it was asked for.
    pub take: Take,
    /// How many documents it gives to each split. If there are more than it has, some come again.
    pub given: BTreeMap<String, u64>,
}

impl Recipe {
    /// Returns the name of the step, which is the name of its command.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tokenize(_) => "tokenize",
            Self::Sft(_) => "sft",
            Self::Pack(_) => "pack",
            Self::Merge(_) => "merge",
            Self::Mix(_) => "mix",
            Self::Import(_) => "import",
        }
    }

    /// Returns whether every document of the sources is in the artifact once, as far as it is known.
    pub fn takes_all(&self) -> bool {
        match self {
            Self::Merge(merge) => merge.inputs.iter().all(|input| input.recipe.takes_all()),
            Self::Mix(mix) => mix.sources.iter().all(|source| {
                let input = &source.input;
                input.recipe.takes_all()
                    && input
                        .documents
                        .iter()
                        .all(|(split, all)| source.given.get(split) == Some(all))
            }),
            Self::Tokenize(_) | Self::Sft(_) | Self::Pack(_) | Self::Import(_) => true,
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

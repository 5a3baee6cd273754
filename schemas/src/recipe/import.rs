//! The recipe of `import`: the layout of the foreign files, and what separates documents in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plain_name::PlainName;
use crate::token::TokenId;

/// The settings of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The layout of the files.
    pub from: ImportLayout,
    /// The split that the files became.
    pub split: PlainName,
    /// The id that ends a document; none if the layout itself, or each file, says where one ends.
    pub eos: Option<TokenId>,
}

/// The layouts that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum ImportLayout {
    /// Headerless ids, as nanoGPT and the reference write them
    Raw,
    /// Megatron-LM: `.bin` with an `MMIDIDX` `.idx`
    Megatron,
    /// llm.c and modded-nanogpt: a header of 256 `i32`, EOS before each document
    Llmc,
    /// datatrove and nanotron: `.ds` with `.ds.index`
    Datatrove,
    /// dolma and `OLMo`: headerless `.npy` with `.csv.gz`
    Olmo,
    /// `NumPy`: flat `.npy` of 16- or 32-bit ids
    Npy,
    /// `NumPy`: packed rows in an `.npz`, with `cu_seqlens`
    Npz,
    /// Tokens with `document_ends`, or packed rows with `cu_seqlens`
    Safetensors,
    /// Hugging Face `datasets`: `input_ids`, `labels`, `position_ids`
    Arrow,
    /// Megatron-Bridge and `NeMo`: packed rows in parquet
    #[serde(rename = "megatron-sft")]
    MegatronSft,
}

impl ImportLayout {
    /// Returns its name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Megatron => "megatron",
            Self::Llmc => "llmc",
            Self::Datatrove => "datatrove",
            Self::Olmo => "olmo",
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Safetensors => "safetensors",
            Self::Arrow => "arrow",
            Self::MegatronSft => "megatron-sft",
        }
    }
}

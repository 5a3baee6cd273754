//! One export: which artifact, in which layout, into which folder, and whether it can be done.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use ratdata_schemas::{Manifest, Semantics, TokenId, manifest_checksum, resting_place};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::TranscodeError;

/// The folder in the folder of a split where the layout of `OLMo` has its masks.
pub(super) const LABEL_MASKS: &str = "label_mask";

/// The layouts that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExportLayout {
    /// Megatron-LM: `.bin` with an `MMIDIDX` `.idx`
    Megatron,
    /// llm.c and modded-nanogpt: a header of 256 `i32`, EOS before each document
    Llmc,
    /// datatrove and nanotron: `.ds` with `.ds.index`
    Datatrove,
    /// dolma and `OLMo`: headerless `.npy` with `.csv.gz`
    Olmo,
    /// `NumPy`: `.npy` that `np.load` reads
    Npy,
    /// `NumPy`: one `.npz` of rows, with `cu_seqlens` and `seq_lengths`
    Npz,
    /// safetensors: tokens, document ends and mask in one file
    Safetensors,
    /// Hugging Face `datasets`: `input_ids`, `labels`, `position_ids`, for `load_from_disk`
    Arrow,
    /// Megatron-Bridge and `NeMo`: packed sequences as `.idx.parquet`
    MegatronSft,
    /// JSON lines: the text again, decoded
    Jsonl,
}

impl ExportLayout {
    /// Returns the name that the command line has.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::Llmc => "llmc",
            Self::Datatrove => "datatrove",
            Self::Olmo => "olmo",
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Safetensors => "safetensors",
            Self::Arrow => "arrow",
            Self::MegatronSft => "megatron-sft",
            Self::Jsonl => "jsonl",
        }
    }
}

/// One export: what is written, where, and how.
pub(crate) struct ExportJob<'a> {
    /// The artifact.
    pub(crate) root: &'a Path,
    /// Its manifest.
    pub(crate) manifest: &'a Manifest,
    /// The layout to write.
    pub(crate) to: ExportLayout,
    /// The folder to write into.
    pub(crate) out: &'a Path,
    /// Whether whole files may become second names of the artifact's own.
    pub(crate) link: bool,
    /// Whether files that are there already are replaced.
    pub(crate) force: bool,
    /// The id that parts documents, where the layout has it in the stream.
    pub(crate) eos: Option<TokenId>,
    /// The tokenizer that text is decoded with; only JSON lines need one.
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    /// Set when the user wants to stop.
    pub(crate) stop: &'a AtomicBool,
}

impl ExportJob<'_> {
    /// Checks that the EOS id is one, and that the ids that are written can hold it.
    pub(super) fn check_eos(&self) -> Result<(), TranscodeError> {
        let Some(id) = self.eos else { return Ok(()) };
        let (tokenizer, dtype) = (&self.manifest.tokenizer, self.manifest.dtype);
        // Of a vocabulary that is not known no more is known than which ids were seen.
        if id >= tokenizer.vocab_size && tokenizer.semantics != Semantics::Unknown {
            return Err(TranscodeError::Eos { id, vocab_size: tokenizer.vocab_size });
        }
        // The artifact's own matters where it is written alone.
        let written = self.to == ExportLayout::Llmc || tokenizer.eos != Some(id);
        if written && !dtype.holds(id) {
            return Err(TranscodeError::EosWidth { id, dtype });
        }
        Ok(())
    }

    /// Checks that nothing is written where the artifact's files are, or those of its base.
    pub(super) fn check_folders(&self, splits: &[String]) -> Result<(), TranscodeError> {
        let outs = std::iter::once(self.out.to_owned())
            .chain(splits.iter().map(|split| self.out.join(split)))
            .chain(splits.iter().map(|split| self.out.join(split).join(LABEL_MASKS)));
        let outs: Vec<PathBuf> = outs.collect();
        let base = self.manifest.base.as_ref().map(|base| self.root.join(&base.path));
        for root in std::iter::once(self.root.to_owned()).chain(base) {
            for out in &outs {
                check_apart(out, &root)?;
            }
        }
        Ok(())
    }

    /// Returns all that decides what the files are.
    pub(super) fn described(&self, splits: &[String]) -> Result<Value, TranscodeError> {
        Ok(json!({
            "export": self.to.name(),
            "artifact": manifest_checksum(self.root)?,
            "splits": splits,
            "eos": self.eos,
            "copy": !self.link,
            "tokenizer": self.tokenizer.map(Tokenizer::fingerprint),
        }))
    }
}

/// Checks that `out` does not lie in the folder `input`, links followed.
pub(super) fn check_apart(out: &Path, input: &Path) -> Result<(), TranscodeError> {
    let real = |path: &Path| resting_place(path).map_err(TranscodeError::io(path));
    if real(out)?.starts_with(real(input)?) {
        return Err(TranscodeError::InInput { out: out.to_owned(), input: input.to_owned() });
    }
    Ok(())
}

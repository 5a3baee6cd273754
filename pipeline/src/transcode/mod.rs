//! From our artifacts to the layouts of other tools, from those to artifacts, and from several
//! artifacts to one.
//!
//! The layouts themselves are read and written by `ratdata_schemas::layouts`; here files are found,
//! carried and named. Payloads that are the same in both are linked, or copied by the system.

mod bins;
mod error;
mod found;
mod import;
mod merge;
mod rows;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::payload::carry_unless;
use ratdata_schemas::{Carried, DirLock, Manifest, PayloadFile, SplitRecord, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::interrupt;

pub(crate) use error::TranscodeError;
pub(crate) use import::{Documents, ImportJob, ImportLayout, import};
pub(crate) use merge::{MergeJob, merge};

/// The layouts that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// safetensors: tokens, document ends and mask in one file
    Safetensors,
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
            Self::Safetensors => "safetensors",
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

/// One file that an export has made.
#[derive(Debug, Serialize)]
pub(crate) struct ExportedFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// How its content came there; none where it was written by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) carried: Option<Carried>,
}

/// Writes the parts of an artifact in another layout, each in a folder of its own.
///
/// # Errors
///
/// The artifact cannot be read, the layout cannot hold it, or a file cannot be written.
pub(crate) fn export(
    job: &ExportJob<'_>,
    splits: &[String],
) -> Result<Vec<ExportedFile>, TranscodeError> {
    let _lock = DirLock::take(job.out)?;
    let mut files = Vec::new();
    for split in splits {
        match job.manifest.splits.get(split) {
            Some(SplitRecord::Pairs(pairs)) => rows::export_pairs(job, split, pairs, &mut files)?,
            Some(SplitRecord::Pack(_) | SplitRecord::Rows(_)) => {
                rows::export_rows(job, split, &mut files)?;
            }
            // A split that is not there is told with those that are.
            Some(SplitRecord::Shards { .. }) | None => bins::export_bins(job, split, &mut files)?,
        }
    }
    Ok(files)
}

impl ExportJob<'_> {
    fn check_stop(&self) -> Result<(), TranscodeError> {
        if self.stop.load(Ordering::Relaxed) { Err(TranscodeError::Interrupted) } else { Ok(()) }
    }

    /// Returns the place of a file of `split`, which must be free.
    fn place(&self, split: &str, name: &str) -> Result<PathBuf, TranscodeError> {
        let path = self.out.join(split).join(name);
        if path.exists() && !self.force {
            return Err(TranscodeError::Exists { path });
        }
        Ok(path)
    }

    /// Creates a file of `split`.
    fn create(&self, split: &str, name: &str) -> Result<NewFile, TranscodeError> {
        let path = self.place(split, name)?;
        let file = PayloadFile::create(&path)?.unless(interrupt::asked);
        Ok(NewFile { file, path })
    }

    /// Gives a whole file of the artifact its place in the export.
    fn carry(
        &self,
        source: &Path,
        split: &str,
        name: &str,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let path = self.place(split, name)?;
        let carried = carry_unless(source, &path, self.link, interrupt::asked)?;
        let bytes = std::fs::metadata(&path)
            .map_err(|source| TranscodeError::Io { path: path.clone(), source })?
            .len();
        files.push(ExportedFile { path, bytes, carried: Some(carried) });
        Ok(())
    }
}

/// A file of an export while it is written.
struct NewFile {
    path: PathBuf,
    file: PayloadFile,
}

impl NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), TranscodeError> {
        Ok(self.file.write(bytes)?)
    }

    fn copy_from(&mut self, source: &Path, from: u64, len: u64) -> Result<(), TranscodeError> {
        Ok(self.file.copy_from(source, from, len)?)
    }

    /// Names the file; `carried` says whether its bulk was another file's.
    fn commit(
        self,
        carried: Option<Carried>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let bytes = self.file.commit()?;
        files.push(ExportedFile { path: self.path, bytes, carried });
        Ok(())
    }
}

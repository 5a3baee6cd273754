//! From our artifacts to the layouts of other tools, from those to artifacts, and from several
//! artifacts to one.
//!
//! The layouts themselves are read and written by `ratdata_schemas::layouts`; here files are found,
//! carried and named. Payloads that are the same in both are linked, or copied by the system.

mod bins;
mod error;
mod foreign_file;
mod import;
mod merge;
mod note;
mod rows;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{
    Carried, DirLock, Manifest, PayloadFile, RelativePath, Semantics, SplitRecord, TokenId,
    carry_unless, manifest_checksum, resting_place,
};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;
use serde_json::{Value, json};

use note::{FileNote, JobNote};

use crate::interrupt;

pub(crate) use error::TranscodeError;
pub(crate) use import::{Documents, ImportJob, beside, import};
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

/// What manifests call a vocabulary of which nothing is known but the ids that were seen.
const UNKNOWN: &str = "unknown";

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

/// What an export has made; it is an export in work until it is [finished](Exported::finish).
pub(crate) struct Exported {
    /// The files, in the order of the splits.
    pub(crate) files: Vec<ExportedFile>,
    note: JobNote,
    _lock: DirLock,
}

impl Exported {
    /// Ends the export: from here on its files are somebody's, and are not made again.
    ///
    /// # Errors
    ///
    /// The note of the job cannot be removed.
    pub(crate) fn finish(self) -> Result<(), TranscodeError> {
        self.note.clear()
    }
}

/// Writes the parts of an artifact in another layout, each in a folder of its own, or goes on with
/// what the same export has left.
///
/// # Errors
///
/// The artifact cannot be read, the layout cannot hold it, or a file cannot be written.
pub(crate) fn export(job: &ExportJob<'_>, splits: &[String]) -> Result<Exported, TranscodeError> {
    job.check_eos()?;
    job.check_folders(splits)?;
    let described = job.described(splits)?;
    let lock = DirLock::take(job.out)?;
    let note = JobNote::open(job.out, &described, job.force)?;
    let mut files = Vec::new();
    let export = Export { job, note: &note };
    let written = splits.iter().try_for_each(|split| export.split(split, &mut files));
    match written {
        Ok(()) => Ok(Exported { files, note, _lock: lock }),
        Err(wrong) => {
            note.clear_unused()?;
            Err(wrong)
        }
    }
}

impl ExportJob<'_> {
    /// Checks that the EOS id is one, and that the ids that are written can hold it.
    fn check_eos(&self) -> Result<(), TranscodeError> {
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
    fn check_folders(&self, splits: &[String]) -> Result<(), TranscodeError> {
        let outs = std::iter::once(self.out.to_owned())
            .chain(splits.iter().map(|split| self.out.join(split)))
            .chain(splits.iter().map(|split| self.out.join(split).join(bins::LABEL_MASKS)));
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
    fn described(&self, splits: &[String]) -> Result<Value, TranscodeError> {
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

/// An export at work.
struct Export<'a> {
    job: &'a ExportJob<'a>,
    note: &'a JobNote,
}

impl Export<'_> {
    fn check_stop(&self) -> Result<(), TranscodeError> {
        let stop = self.job.stop.load(Ordering::Relaxed);
        if stop { Err(TranscodeError::Interrupted) } else { Ok(()) }
    }

    /// Makes the files of one split.
    fn split(&self, split: &str, files: &mut Vec<ExportedFile>) -> Result<(), TranscodeError> {
        match self.job.manifest.splits.get(split) {
            Some(SplitRecord::Pairs(pairs)) => {
                self.part(split, files, |files| rows::export_pairs(self, split, pairs, files))
            }
            Some(SplitRecord::Pack(_) | SplitRecord::Rows(_)) => {
                self.part(split, files, |files| rows::export_rows(self, split, files))
            }
            // A split that is not there is told with those that are.
            Some(SplitRecord::Shards { .. }) | None => bins::export_bins(self, split, files),
        }
    }

    /// Makes the files of one part, unless an earlier run has.
    fn part(
        &self,
        part: &str,
        files: &mut Vec<ExportedFile>,
        make: impl FnOnce(&mut Vec<ExportedFile>) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        if let Some(whole) = self.note.whole(part) {
            files.extend(whole.iter().map(|file| ExportedFile {
                path: file.path.below(self.job.out),
                bytes: file.bytes,
                carried: file.carried,
            }));
            return Ok(());
        }
        let before = files.len();
        make(files)?;
        let mut made = Vec::new();
        for file in &files[before..] {
            let path = file.path.strip_prefix(self.job.out).unwrap_or(&file.path);
            let path = RelativePath::of(path)
                .map_err(|_| TranscodeError::NotUtf8 { path: file.path.clone() })?;
            made.push(FileNote { path, bytes: file.bytes, carried: file.carried });
        }
        self.note.finish_part(part, made)
    }

    /// Returns the place of a file of `split`, which must be free or the export's own.
    fn place(&self, split: &str, name: &str) -> Result<PathBuf, TranscodeError> {
        let name = RelativePath::new(&format!("{split}/{name}"))
            .map_err(|_| TranscodeError::NotUtf8 { path: self.job.out.join(split).join(name) })?;
        self.note.begin(name, self.job.force)
    }

    /// Creates a file of `split`.
    fn create(&self, split: &str, name: &str) -> Result<NewFile, TranscodeError> {
        let path = self.place(split, name)?;
        let file = PayloadFile::create(&path)?.unless(interrupt::asked);
        Ok(NewFile { path, file })
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
        let carried = carry_unless(source, &path, self.job.link, interrupt::asked)?;
        let bytes = std::fs::metadata(&path).map_err(TranscodeError::io(&path))?.len();
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

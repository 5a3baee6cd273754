//! The files of an export while they are written: each has its place, and those of a finished part
//! are not made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ratdata_schemas::{Carried, PayloadFile, RelativePath, carry_unless};
use serde::Serialize;

use super::error::TranscodeError;
use super::export_job::ExportJob;
use super::note::{FileNote, JobNote};
use crate::interrupt;

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

/// An export at work.
pub(super) struct Export<'a> {
    pub(super) job: &'a ExportJob<'a>,
    pub(super) note: &'a JobNote,
}

impl Export<'_> {
    pub(super) fn check_stop(&self) -> Result<(), TranscodeError> {
        let stop = self.job.stop.load(Ordering::Relaxed);
        if stop { Err(TranscodeError::Interrupted) } else { Ok(()) }
    }

    /// Makes the files of one part, unless an earlier run has.
    pub(super) fn part(
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
    pub(super) fn place(&self, split: &str, name: &str) -> Result<PathBuf, TranscodeError> {
        let name = RelativePath::new(&format!("{split}/{name}"))
            .map_err(|_| TranscodeError::NotUtf8 { path: self.job.out.join(split).join(name) })?;
        self.note.begin(name, self.job.force)
    }

    /// Creates a file of `split`.
    pub(super) fn create(&self, split: &str, name: &str) -> Result<NewFile, TranscodeError> {
        let path = self.place(split, name)?;
        let file = PayloadFile::create(&path)?.unless(interrupt::asked);
        Ok(NewFile { path, file })
    }

    /// Creates a file of all splits, in the folder that has theirs.
    pub(super) fn create_at_root(&self, name: &str) -> Result<NewFile, TranscodeError> {
        let name = RelativePath::new(name)
            .map_err(|_| TranscodeError::NotUtf8 { path: self.job.out.join(name) })?;
        let path = self.note.begin(name, self.job.force)?;
        let file = PayloadFile::create(&path)?.unless(interrupt::asked);
        Ok(NewFile { path, file })
    }

    /// Gives a whole file of the artifact its place in the export.
    pub(super) fn carry(
        &self,
        source: &Path,
        split: &str,
        name: &str,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let path = self.place(split, name)?;
        let carried = carry_unless(source, &path, self.job.link, interrupt::asked)?;
        let bytes = fs::metadata(&path).map_err(TranscodeError::io(&path))?.len();
        files.push(ExportedFile { path, bytes, carried: Some(carried) });
        Ok(())
    }
}

/// A file of an export while it is written.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    file: PayloadFile,
}

impl NewFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), TranscodeError> {
        Ok(self.file.write(bytes)?)
    }

    pub(super) fn copy_from(
        &mut self,
        source: &Path,
        from: u64,
        len: u64,
    ) -> Result<(), TranscodeError> {
        Ok(self.file.copy_from(source, from, len)?)
    }

    /// Names the file; `carried` says whether its bulk was another file's.
    pub(super) fn commit(
        self,
        carried: Option<Carried>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let bytes = self.file.commit()?;
        files.push(ExportedFile { path: self.path, bytes, carried });
        Ok(())
    }
}

//! A workspace: an output folder while a job writes into it.
//!
//! ```text
//! OUT/.ratdata-lock        one job writes at a time; its note has what is known of the inputs
//! OUT/.job/done/NAME.json  receipts: which parts of the job are done     receipts.rs
//! OUT/manifest.json        written last: from here on the folder is an artifact
//! ```
//!
//! [`Workspace::open`] says what there is to do: nothing, where the same job has finished and its
//! inputs are as they were; or the job. Where another job's result is there, it says in which value
//! the two differ ([`difference()`]).

mod difference;
mod receipts;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::artifact::DirLock;
use crate::artifact_error::ArtifactError;
use crate::file_record::FileRecord;
use crate::known::Known;
use crate::manifest::{MANIFEST_FILE, Manifest, ManifestError};
use crate::removal::{remove_file_if_exists, remove_folder_if_exists};

pub use difference::difference;
pub use receipts::{JOB_FOLDER, Receipts, read_json, write_bytes, write_json};

/// A job that makes an artifact, as far as its output folder has to know it.
pub trait ArtifactJob {
    /// Why the job fails.
    type Error: From<ArtifactError> + From<ManifestError> + From<OtherJob>;

    /// Returns the first value in which a finished artifact differs from what this job makes, theirs ->
    /// ours. The content of inputs is not compared.
    fn difference(&self, there: &Manifest) -> Option<String>;

    /// Checks that the inputs are those that a finished artifact of this job was made from.
    ///
    /// # Errors
    ///
    /// They are others, cannot be read, or the user stopped the job.
    fn check_inputs(&self, there: &Manifest, workspace: &Workspace) -> Result<(), Self::Error>;
}

/// An output folder holds the result of another job.
#[derive(Debug, Error)]
#[error("{}: holds another job's result: {difference}", .out.display())]
pub struct OtherJob {
    /// The folder.
    pub out: PathBuf,
    /// The first value that differs, theirs -> ours.
    pub difference: String,
}

impl OtherJob {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        "choose another `--out`, or replace what is there with `--force`"
    }
}

/// What there is to do in an output folder.
#[derive(Debug)]
pub enum Opened {
    /// Nothing: the same job has finished there, and its inputs are as they were.
    Done(Box<Manifest>, Workspace),
    /// The job.
    Open(Workspace),
}

/// The artifact that a job was asked for.
#[derive(Debug)]
pub struct Finished {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether this run made it, or part of it; otherwise it was there.
    pub made: bool,
}

impl Finished {
    /// An artifact that was there.
    pub fn found(manifest: Manifest) -> Self {
        Self { manifest, made: false }
    }

    /// An artifact that this run made.
    pub fn made(manifest: Manifest) -> Self {
        Self { manifest, made: true }
    }
}

/// An output folder that this process alone writes into.
#[derive(Debug)]
pub struct Workspace {
    out: PathBuf,
    lock: DirLock,
    known: Known,
    lost: Option<Box<Manifest>>,
}

impl Workspace {
    /// Locks a folder, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// Another process writes into it, or the system refuses.
    pub fn lock(out: &Path) -> Result<Self, ArtifactError> {
        let lock = DirLock::take(out)?;
        let known = Known::from_note(&lock.note());
        Ok(Self { out: out.to_owned(), lock, known, lost: None })
    }

    /// Locks a folder and looks at what is there; with `force`, that is nothing that stays.
    ///
    /// # Errors
    ///
    /// As of [`Workspace::lock`] and [`Workspace::look`].
    pub fn open<J: ArtifactJob>(out: &Path, job: &J, force: bool) -> Result<Opened, J::Error> {
        Self::lock(out)?.look(job, force)
    }

    /// Looks at what is there.
    ///
    /// # Errors
    ///
    /// The folder holds [`OtherJob`]'s result or one of other inputs, or a manifest that cannot be
    /// read.
    pub fn look<J: ArtifactJob>(self, job: &J, force: bool) -> Result<Opened, J::Error> {
        let out = self.out.clone();
        self.look_where(job, force, &|file| file.is_whole(&out))
    }

    /// Looks at what is there, where `has` says whether a file of the artifact is whole, which may lie elsewhere.
    ///
    /// # Errors
    ///
    /// As of [`Workspace::look`].
    pub fn look_where<J: ArtifactJob>(
        mut self,
        job: &J,
        force: bool,
        has: &dyn Fn(&FileRecord) -> bool,
    ) -> Result<Opened, J::Error> {
        if force {
            return Ok(Opened::Open(self));
        }
        let Some(there) = self.artifact_of::<J::Error>(|there| job.difference(there))? else {
            return Ok(Opened::Open(self));
        };
        job.check_inputs(&there, &self)?;
        if there.files().iter().all(|file| has(file)) {
            return Ok(Opened::Done(there, self));
        }
        self.lost = Some(there);
        Ok(Opened::Open(self))
    }

    /// Returns the manifest of the artifact that is there, if there is one; `difference` says in which
    /// value it differs from that of this job.
    ///
    /// # Errors
    ///
    /// It differs, or cannot be read.
    pub fn artifact_of<E: From<ManifestError> + From<OtherJob>>(
        &self,
        difference: impl FnOnce(&Manifest) -> Option<String>,
    ) -> Result<Option<Box<Manifest>>, E> {
        if !self.out.join(MANIFEST_FILE).exists() {
            return Ok(None);
        }
        let there = Manifest::read(&self.out)?;
        match difference(&there) {
            Some(difference) => Err(self.other_job(difference).into()),
            None => Ok(Some(Box::new(there))),
        }
    }

    /// Returns the error that another job's result is there.
    pub fn other_job(&self, difference: String) -> OtherJob {
        OtherJob { out: self.out.clone(), difference }
    }

    /// Returns the folder.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Returns what is known of the content of inputs.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Takes the manifest of the same job's artifact, of which files were lost; none where none were.
    pub fn take_lost(&mut self) -> Option<Box<Manifest>> {
        self.lost.take()
    }

    /// Keeps what is known of the inputs for the next job in this folder.
    pub fn keep_known(&self) {
        self.keep_note(&self.known.to_note());
    }

    /// Keeps a note on the inputs for the next job in this folder.
    pub fn keep_note(&self, note: &[u8]) {
        self.lock.leave(note);
    }

    /// Takes the manifest away, so that the folder is no artifact while it is written.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remove_manifest(&self) -> Result<(), ArtifactError> {
        remove_file_if_exists(&self.out.join(MANIFEST_FILE))
    }

    /// Removes the artifact that is there: its manifest first, then the files that it names, and
    /// nothing else. Of a manifest that cannot be read, only itself is known.
    ///
    /// # Errors
    ///
    /// The system refuses, or a folder that files lie in is a link out of this one.
    pub fn remove_artifact(&self) -> Result<(), ArtifactError> {
        let old = Manifest::read(&self.out).ok();
        self.remove_manifest()?;
        old.iter().flat_map(Manifest::files).try_for_each(|record| record.remove(&self.out))
    }

    /// Makes the folder an artifact. What is left of the job is removed by [`Workspace::end_job`].
    ///
    /// # Errors
    ///
    /// The manifest cannot be written.
    pub fn finish(&self, manifest: &Manifest) -> Result<(), ArtifactError> {
        manifest.write(&self.out)
    }

    /// Removes the receipts and everything else that a job keeps while it works.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn end_job(&self) -> Result<(), ArtifactError> {
        remove_folder_if_exists(&self.out.join(JOB_FOLDER))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::checksum::Checksum;
    use crate::manifest::FORMAT_VERSION;
    use crate::plain_name::PlainName;
    use crate::recipe::{Recipe, Tokenize};
    use crate::records::{Semantics, ShardRecord, SplitRecord, TokenizerRecord};
    use crate::relative_path::RelativePath;
    use crate::token::Dtype;

    /// A job whose artifacts have this name, and whose inputs are as they were or not.
    struct Named(&'static str, bool);

    #[derive(Debug, Error)]
    enum NamedError {
        #[error(transparent)]
        Artifact(#[from] ArtifactError),
        #[error(transparent)]
        Manifest(#[from] ManifestError),
        #[error(transparent)]
        OtherJob(#[from] OtherJob),
    }

    impl ArtifactJob for Named {
        type Error = NamedError;

        fn difference(&self, there: &Manifest) -> Option<String> {
            let theirs = there.name.as_str();
            (theirs != self.0).then(|| format!("name: {theirs} -> {}", self.0))
        }

        fn check_inputs(&self, _: &Manifest, workspace: &Workspace) -> Result<(), NamedError> {
            if self.1 {
                Ok(())
            } else {
                Err(workspace.other_job("inputs[0]: content".into()).into())
            }
        }
    }

    fn file(out: &Path, name: &str) -> FileRecord {
        fs::File::create(out.join(name)).unwrap();
        let path = RelativePath::new(name).unwrap();
        FileRecord { path, bytes: 0, blake3: Checksum::of(b"") }
    }

    fn manifest(out: &Path) -> Manifest {
        let shard = ShardRecord {
            source: None,
            documents: 0,
            tokens: 0,
            bin: file(out, "x.bin"),
            idx: file(out, "x.idx"),
            mask: None,
        };
        let shards = SplitRecord::Shards { shards: vec![shard] };
        Manifest {
            format_version: FORMAT_VERSION,
            name: PlainName::near("x"),
            dtype: Dtype::U16,
            tokenizer: TokenizerRecord {
                name: "t".into(),
                semantics: Semantics::Tokenizers,
                fingerprint: Checksum::of(b"t"),
                vocab_size: 9,
                bos: None,
                eos: None,
                unk: None,
                pad: None,
            },
            splits: BTreeMap::from([(PlainName::near("train"), shards)]),
            sources: Vec::new(),
            base: None,
            recipe: Recipe::Tokenize(Tokenize::default()),
        }
    }

    fn open(out: &Path, job: &Named, force: bool) -> Result<Opened, NamedError> {
        Workspace::open(out, job, force)
    }

    #[test]
    fn the_same_job_is_done_once_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let Opened::Open(workspace) = open(out, &Named("x", true), false).unwrap() else {
            panic!()
        };
        workspace.finish(&manifest(out)).unwrap();
        drop(workspace);

        assert!(matches!(open(out, &Named("x", true), false).unwrap(), Opened::Done(..)));
        for (job, says) in [(Named("y", true), "name: x -> y"), (Named("x", false), "content")] {
            let refused = open(out, &job, false).unwrap_err();
            assert!(matches!(refused, NamedError::OtherJob(_)), "{refused}");
            assert!(refused.to_string().contains(says), "{refused}");
        }
        assert!(matches!(open(out, &Named("y", true), true).unwrap(), Opened::Open(_)));
    }

    #[test]
    fn an_artifact_with_a_lost_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        manifest(out).write(out).unwrap();
        fs::remove_file(out.join("x.idx")).unwrap();

        let opened = open(out, &Named("x", true), false).unwrap();

        let Opened::Open(mut workspace) = opened else { panic!() };
        assert_eq!(workspace.take_lost().unwrap().name.as_str(), "x");
    }

    #[test]
    fn an_artifact_is_removed_with_its_files_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        manifest(out).write(out).unwrap();
        fs::File::create(out.join("theirs")).unwrap();
        let workspace = Workspace::lock(out).unwrap();

        workspace.remove_artifact().unwrap();
        workspace.remove_artifact().unwrap();

        let left: Vec<_> =
            fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(out.join("theirs").exists() && out.join(DirLock::FILE).exists());
    }
}

//! The files that a job reads, as they were when it read them, and whether they are so still.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::{Checksum, Facts, Known, Manifest, SourceRecord};
use rayon::prelude::*;

use super::error::JobError;
use crate::source::{Recorded, Seen, Source, SourceError, SourceFile, changed};

/// The files of a job, and what is known of their content.
#[derive(Debug)]
pub struct Inputs {
    files: Vec<SourceFile>,
    /// Each file as it was when it was opened.
    seen: Vec<OnceLock<Seen>>,
    known: Known,
}

impl Inputs {
    /// The files of a job, and what an earlier run knew of them.
    pub fn new(files: Vec<SourceFile>, facts: &Facts) -> Self {
        let seen = files.iter().map(|_| OnceLock::new()).collect();
        let known = Known::default();
        known.add(facts);
        Self { files, seen, known }
    }

    /// Returns the files.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Opens a file, after a look at it that a later change is told by.
    ///
    /// # Errors
    ///
    /// It is not what was found at first, or cannot be read.
    pub fn open(&self, number: usize, column: &str) -> Result<Source, SourceError> {
        self.see(number)?;
        Source::open(&self.files[number], column)
    }

    /// Looks at a file, so that a later change is noticed.
    ///
    /// # Errors
    ///
    /// It is not what was found at first, or cannot be read.
    pub fn see(&self, number: usize) -> Result<(), SourceError> {
        let file = &self.files[number];
        let seen = Seen::of(file)?;
        if seen.bytes() != file.bytes {
            return Err(SourceError::Touched { path: file.path.clone() });
        }
        self.seen[number].get_or_init(|| seen);
        Ok(())
    }

    /// Returns the checksum of the content that a file had when it was opened, and what is now known
    /// of it.
    ///
    /// # Errors
    ///
    /// The file was touched since or cannot be read, or the user stopped the job.
    pub fn content(
        &self,
        number: usize,
        interrupted: &AtomicBool,
    ) -> Result<(Checksum, Facts), SourceError> {
        let seen = match self.seen[number].get() {
            Some(seen) => seen.clone(),
            None => Seen::of(&self.files[number])?,
        };
        let fingerprint = seen.fingerprint(&self.known, interrupted)?;
        seen.check()?;
        Ok((fingerprint, self.facts(number)))
    }

    /// Returns how a file differs from its record; none where it is the same.
    ///
    /// # Errors
    ///
    /// It cannot be read, or the user stopped the job.
    pub fn change(
        &self,
        number: usize,
        source: &SourceRecord,
        interrupted: &AtomicBool,
    ) -> Result<Option<String>, SourceError> {
        let recorded = Recorded { bytes: Some(source.bytes), fingerprint: &source.fingerprint };
        changed(&self.files[number], recorded, &self.known, interrupted)
    }

    /// Returns how the first file that differs from what an artifact was made from does so.
    ///
    /// # Errors
    ///
    /// As of [`Inputs::change`].
    pub fn first_change(
        &self,
        manifest: &Manifest,
        interrupted: &AtomicBool,
    ) -> Result<Option<String>, JobError> {
        let sources = manifest.sources.par_iter().enumerate().take(self.files.len());
        let differences = sources.map(|(number, source)| {
            let told = |what| format!("inputs[{number}] `{}`: {what}", source.name);
            Ok(self.change(number, source, interrupted)?.map(told))
        });
        let found = differences.collect::<Result<Vec<_>, JobError>>()?;
        Ok(found.into_iter().flatten().next())
    }

    /// Takes up what is known of files.
    pub fn learn(&self, facts: &Facts) {
        self.known.add(facts);
    }

    /// Returns what is known of a file.
    pub fn facts(&self, number: usize) -> Facts {
        self.known.facts_of(self.files[number].paths())
    }

    /// Returns what is known of all files, for the next run.
    pub fn note(&self) -> Vec<u8> {
        self.known.note_of(self.files.iter().flat_map(SourceFile::paths))
    }
}
